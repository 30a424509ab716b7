CREATE TABLE instances (
	-- Instances that have stored something here. In the other tables they go by
	-- the number.
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	instance TEXT COLLATE BINARY NOT NULL UNIQUE,
	-- The PostgreSQL role that alone sees and changes the instance's rows; empty: none.
	role TEXT COLLATE BINARY NOT NULL DEFAULT ''
) STRICT;

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

ALTER TABLE journals RENAME TO journals_0001;

ALTER TABLE events RENAME TO events_0001;

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

DROP INDEX events_by_received;

DROP INDEX events_by_journal;

DROP INDEX events_problems;

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

INSERT INTO instances (instance) SELECT DISTINCT instance FROM (
	SELECT instance FROM journals_0001 UNION SELECT instance FROM events_0001) ORDER BY instance;

INSERT INTO journals (id, instance, client, journal, watermark, used)
	SELECT j.id, i.id, j.client, j.journal, j.watermark, coalesce((SELECT max(e.received) FROM events_0001 e WHERE e.journal = j.id) / 86400000000, 0)
	FROM journals_0001 j JOIN instances i ON i.instance = j.instance;

-- A hash takes code; a number of its own, shorter than any hash, does as well.
INSERT INTO contexts (instance, hash, client, host, host_folded, user_name, user_folded, workspace, workspace_name, guest, client_version,
		policy_revision, image, used)
	SELECT i.id, CAST(min(e.id) AS BLOB), j.client, e.host, e.host_folded, e.user_name, e.user_folded, e.workspace, e.workspace_name, e.guest,
		e.client_version, e.policy_revision, e.image, max(e.received) / 86400000000
	FROM events_0001 e JOIN journals_0001 j ON j.id = e.journal JOIN instances i ON i.instance = e.instance
	GROUP BY i.id, j.client, e.host, e.host_folded, e.user_name, e.user_folded, e.workspace, e.workspace_name, e.guest,
		e.client_version, e.policy_revision, e.image;

CREATE INDEX contexts_whole ON contexts (instance, client, host, user_name, workspace, client_version, policy_revision);

INSERT INTO events (id, instance, context, journal, sequence, received, time, code, severity, category, description, count)
	SELECT e.id, i.id, c.id, e.journal, e.sequence, e.received, e.time, e.code, e.severity, e.category, e.description, 1
	FROM events_0001 e JOIN journals_0001 j ON j.id = e.journal JOIN instances i ON i.instance = e.instance
	JOIN contexts c ON c.instance = i.id AND c.client = j.client AND c.host = e.host AND c.user_name = e.user_name AND c.workspace = e.workspace
		AND c.client_version = e.client_version AND c.policy_revision = e.policy_revision AND c.workspace_name = e.workspace_name
		AND c.guest = e.guest AND c.image = e.image
	ORDER BY e.id;

DROP INDEX contexts_whole;

-- Identities are not given a second time.
DELETE FROM sqlite_sequence WHERE name IN ('events', 'journals');

INSERT INTO sqlite_sequence (name, seq) SELECT substr(name, 1, length(name) - 5), seq FROM sqlite_sequence WHERE name IN ('events_0001', 'journals_0001');

DROP TABLE events_0001;

DROP TABLE journals_0001;

-- Each ends with id, which stands for the row. Ascending, because rows come in
-- that order and so fill the pages; reports read them backwards.
CREATE INDEX events_by_received ON events (instance, received);

CREATE INDEX events_by_context ON events (context, received);

CREATE INDEX events_problems ON events (instance, received) WHERE severity >= 2;
