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

CREATE INDEX events_problems_by_context ON events (context, received) WHERE severity >= 2;

CREATE INDEX events_setup ON events (instance, received) WHERE code >= 640 AND code <= 649;
