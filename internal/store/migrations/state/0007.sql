CREATE TABLE presences (
	-- Whose console shows what. Rows are renewed while it does, and are over soon
	-- after they were not.
	principal TEXT COLLATE BINARY NOT NULL,
	-- What the console calls itself; each is a principal's own.
	console TEXT COLLATE BINARY NOT NULL,
	who TEXT COLLATE BINARY NOT NULL,
	-- Path of the page.
	place TEXT COLLATE BINARY NOT NULL,
	editing INTEGER NOT NULL,
	-- When it came to that page, and was last heard of.
	since INTEGER NOT NULL,
	seen INTEGER NOT NULL,
	PRIMARY KEY (principal, console)
) STRICT;

CREATE INDEX presences_by_time ON presences (seen);
