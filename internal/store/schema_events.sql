-- The events database after all migrations, on SQLite, for reading. Compared by
-- TestSchema; `go test ./internal/store -run TestSchema -update` writes it.

CREATE TABLE alerts (
	-- Conditions of rules that hold (cleared is NULL) or held.
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	-- instances.id.
	instance INTEGER NOT NULL,
	rule TEXT COLLATE BINARY NOT NULL,
	-- Whose condition it is: a client, an image, "*" for everybody's.
	alert_key TEXT COLLATE BINARY NOT NULL,
	-- 2 warning, 3 error.
	severity INTEGER NOT NULL,
	text TEXT COLLATE BINARY NOT NULL,
	raised INTEGER NOT NULL,
	-- When the condition last held, and how often.
	last INTEGER NOT NULL,
	count INTEGER NOT NULL,
	acknowledged INTEGER,
	acknowledged_by TEXT COLLATE BINARY NOT NULL,
	note TEXT COLLATE BINARY NOT NULL,
	cleared INTEGER
) STRICT;

CREATE INDEX alerts_by_instance ON alerts (instance, id DESC);

CREATE UNIQUE INDEX alerts_open ON alerts (instance, rule, alert_key) WHERE cleared IS NULL;

CREATE TABLE contexts (
	-- What many events of a client have in common, once.
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	-- instances.id.
	instance INTEGER NOT NULL,
	-- Of all that follows, but the folded forms and used.
	hash BLOB NOT NULL,
	client TEXT COLLATE BINARY NOT NULL,
	host TEXT COLLATE BINARY NOT NULL,
	-- name.Fold of host where it differs from it; what filters compare with.
	host_folded TEXT COLLATE BINARY,
	user_name TEXT COLLATE BINARY NOT NULL,
	user_folded TEXT COLLATE BINARY,
	workspace TEXT COLLATE BINARY NOT NULL,
	workspace_name TEXT COLLATE BINARY NOT NULL,
	guest TEXT COLLATE BINARY NOT NULL,
	client_version TEXT COLLATE BINARY NOT NULL,
	policy_revision INTEGER NOT NULL,
	image TEXT COLLATE BINARY NOT NULL,
	-- The last day (since 1970, UTC) on which an event with it was received.
	used INTEGER NOT NULL,
	UNIQUE (instance, hash)
) STRICT;

CREATE INDEX contexts_by_client ON contexts (instance, client);

CREATE TABLE event_counts (
	-- Events of a quarter of an hour that is over, counted once: every time zone
	-- begins its days with one. They stay when the events go.
	instance INTEGER NOT NULL, -- instances.id
	-- Where the quarter begins, by the time of receipt.
	time INTEGER NOT NULL,
	severity INTEGER NOT NULL,
	events INTEGER NOT NULL,
	PRIMARY KEY (instance, time, severity)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
	-- Events of all instances that share this database. No unique index but
	-- the row's identity: the watermark keeps repeats out.
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	-- instances.id, contexts.id and journals.id.
	instance INTEGER NOT NULL,
	context INTEGER NOT NULL,
	journal INTEGER NOT NULL,
	sequence INTEGER NOT NULL,
	received INTEGER NOT NULL,
	-- By the client's clock.
	time INTEGER NOT NULL,
	code INTEGER NOT NULL,
	-- 1 information, 2 warning, 3 error.
	severity INTEGER NOT NULL,
	category TEXT COLLATE BINARY NOT NULL,
	description TEXT COLLATE BINARY NOT NULL,
	-- How many like it this one stands for.
	count INTEGER NOT NULL
) STRICT;

CREATE INDEX events_by_context ON events (context, received);

CREATE INDEX events_by_received ON events (instance, received);

CREATE INDEX events_problems ON events (instance, received, id, severity, code, category, context, count) WHERE severity >= 2;

CREATE INDEX events_problems_by_context ON events (context, received) WHERE severity >= 2;

CREATE INDEX events_setup ON events (instance, received) WHERE code >= 640 AND code <= 649;

CREATE TABLE follows (
	-- How far somebody has come who looks at each event once, and what they must
	-- know to go on; also who has a turn (position: until when, state: who).
	instance INTEGER NOT NULL,
	name TEXT COLLATE BINARY NOT NULL,
	position INTEGER NOT NULL,
	state BLOB NOT NULL,
	PRIMARY KEY (instance, name)
) STRICT;

CREATE TABLE instances (
	-- Instances that have stored something here. In the other tables they go by
	-- the number.
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	instance TEXT COLLATE BINARY NOT NULL UNIQUE,
	-- The PostgreSQL role that alone sees and changes the instance's rows; empty: none.
	role TEXT COLLATE BINARY NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE journals (
	-- One row for each journal of each client of each instance. watermark is
	-- the highest sequence that is stored; it changes in the transaction that
	-- stores the events.
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	-- instances.id.
	instance INTEGER NOT NULL,
	client TEXT COLLATE BINARY NOT NULL,
	journal TEXT COLLATE BINARY NOT NULL,
	watermark INTEGER NOT NULL,
	-- The last day (since 1970, UTC) on which an event of it was stored.
	used INTEGER NOT NULL,
	UNIQUE (instance, client, journal)
) STRICT;

CREATE TABLE samples (
	-- What a server counted now and then, the highest of each hour: clients
	-- on-line, clients of a version.
	instance INTEGER NOT NULL, -- instances.id
	name TEXT COLLATE BINARY NOT NULL,
	label TEXT COLLATE BINARY NOT NULL,
	-- Where the hour begins.
	time INTEGER NOT NULL,
	value INTEGER NOT NULL,
	PRIMARY KEY (instance, name, time, label)
) STRICT, WITHOUT ROWID;

CREATE TABLE schema_version (
	-- How far the migrations of a track have come.
	track TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
	version INTEGER NOT NULL
) STRICT;
