-- By how many microseconds the client's clock is ahead of the server's, as its
-- last poll showed; NULL: not known.
ALTER TABLE clients ADD COLUMN clock_ahead INTEGER;

CREATE TABLE saved_reports (
	-- Reports that operators gave a name.
	id TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
	name TEXT COLLATE BINARY NOT NULL,
	name_folded TEXT COLLATE BINARY NOT NULL UNIQUE,
	-- JSON of report.Definition.
	definition TEXT COLLATE BINARY NOT NULL,
	changed_by TEXT COLLATE BINARY NOT NULL,
	changed INTEGER NOT NULL
) STRICT;

CREATE TABLE alert_rules (
	-- Rules of alerts that operators wrote, or changed of those that come with
	-- the program.
	name TEXT COLLATE BINARY NOT NULL,
	name_folded TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
	-- JSON of alert.Rule.
	rule TEXT COLLATE BINARY NOT NULL,
	changed_by TEXT COLLATE BINARY NOT NULL,
	changed INTEGER NOT NULL
) STRICT;

CREATE INDEX audit_by_time ON audit (time, id);
