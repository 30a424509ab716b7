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

CREATE UNIQUE INDEX alerts_open ON alerts (instance, rule, alert_key) WHERE cleared IS NULL;

CREATE INDEX alerts_by_instance ON alerts (instance, id DESC);

CREATE TABLE follows (
	-- How far somebody has come who looks at each event once, and what they must
	-- know to go on; also who has a turn (position: until when, state: who).
	instance INTEGER NOT NULL,
	name TEXT COLLATE BINARY NOT NULL,
	position INTEGER NOT NULL,
	state BLOB NOT NULL,
	PRIMARY KEY (instance, name)
) STRICT;
