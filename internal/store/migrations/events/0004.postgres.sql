CREATE TABLE samples (
	-- What a server counted now and then, the highest of each hour: clients
	-- on-line, clients of a version.
	instance bigint NOT NULL, -- instances.id
	name TEXT COLLATE "C" NOT NULL,
	label TEXT COLLATE "C" NOT NULL,
	-- Where the hour begins.
	time bigint NOT NULL,
	value bigint NOT NULL,
	PRIMARY KEY (instance, name, time, label)
);

CREATE TABLE event_counts (
	-- Events of a quarter of an hour that is over, counted once: every time zone
	-- begins its days with one. They stay when the events go.
	instance bigint NOT NULL, -- instances.id
	-- Where the quarter begins, by the time of receipt.
	time bigint NOT NULL,
	severity bigint NOT NULL,
	events bigint NOT NULL,
	PRIMARY KEY (instance, time, severity)
);

CREATE INDEX events_problems_by_context ON events (context, received) WHERE severity >= 2;

CREATE INDEX events_setup ON events (received) WHERE code >= 640 AND code <= 649;
