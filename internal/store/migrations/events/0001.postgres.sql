CREATE TABLE journals (
	-- One row for each journal of each client of each instance. watermark is
	-- the highest sequence that is stored; it changes in the transaction that
	-- stores the events. The free space in each page keeps updates in place.
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	instance TEXT COLLATE "C" NOT NULL,
	client TEXT COLLATE "C" NOT NULL,
	journal TEXT COLLATE "C" NOT NULL,
	watermark bigint NOT NULL,
	UNIQUE (instance, client, journal)
) WITH (fillfactor = 70);

CREATE SEQUENCE events_id;

CREATE TABLE events (
	-- Events of all instances that share this database, a partition for each
	-- instance and in it one for each day (UTC) of received. They are made when
	-- first needed. No unique index: the watermark keeps repeats out.
	id bigint NOT NULL DEFAULT nextval('events_id'),
	instance TEXT COLLATE "C" NOT NULL,
	-- journals.id, which says which client it was.
	journal bigint NOT NULL,
	sequence bigint NOT NULL,
	received bigint NOT NULL,
	-- By the client's clock.
	time bigint NOT NULL,
	code bigint NOT NULL,
	-- 1 information, 2 warning, 3 error.
	severity bigint NOT NULL,
	category TEXT COLLATE "C" NOT NULL,
	description TEXT COLLATE "C" NOT NULL,
	host TEXT COLLATE "C" NOT NULL,
	-- name.Fold of host where it differs from it; what filters compare with.
	host_folded TEXT COLLATE "C",
	user_name TEXT COLLATE "C" NOT NULL,
	user_folded TEXT COLLATE "C",
	workspace TEXT COLLATE "C" NOT NULL,
	workspace_name TEXT COLLATE "C" NOT NULL,
	guest TEXT COLLATE "C" NOT NULL,
	client_version TEXT COLLATE "C" NOT NULL,
	policy_revision bigint NOT NULL,
	image TEXT COLLATE "C" NOT NULL
) PARTITION BY LIST (instance);

CREATE INDEX events_by_received ON events (received DESC, id DESC);
CREATE INDEX events_by_journal ON events (journal, received DESC, id DESC);
CREATE INDEX events_problems ON events (received DESC, id DESC) WHERE severity >= 2;
CREATE INDEX events_by_id ON events (id);
