-- For how long a machine that runs goes on after an order, in seconds.
ALTER TABLE orders ADD COLUMN grace INTEGER;

-- What a client reports of how a machine follows its policy.
ALTER TABLE machines ADD COLUMN policy_revision INTEGER NOT NULL DEFAULT 0;

ALTER TABLE machines ADD COLUMN locked INTEGER NOT NULL DEFAULT 0;

-- JSON arrays of fields of the policy.
ALTER TABLE machines ADD COLUMN at_next_start TEXT COLLATE BINARY NOT NULL DEFAULT '[]';

ALTER TABLE machines ADD COLUMN not_enforced TEXT COLLATE BINARY NOT NULL DEFAULT '[]';

-- Of machines that got one computer name at the same moment the first keeps it.
UPDATE machines SET computer_name = '' WHERE computer_name <> '' AND EXISTS (
	SELECT 1 FROM machines o WHERE o.computer_name = machines.computer_name
		AND (o.created < machines.created OR (o.created = machines.created AND o.id < machines.id)));

CREATE UNIQUE INDEX machines_by_computer_name ON machines (computer_name) WHERE computer_name <> '';

CREATE TABLE deletions (
	-- Machines that are to be deleted because their policy says so.
	machine TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
	client TEXT COLLATE BINARY NOT NULL,
	user_name TEXT COLLATE BINARY NOT NULL,
	workspace TEXT COLLATE BINARY NOT NULL,
	-- The revision of the workspace that says so.
	revision INTEGER NOT NULL,
	reason TEXT COLLATE BINARY NOT NULL,
	-- A lease.DeletionState.
	state TEXT COLLATE BINARY NOT NULL,
	since INTEGER NOT NULL,
	confirmed_by TEXT COLLATE BINARY NOT NULL,
	-- The order that was given, or empty.
	order_id TEXT COLLATE BINARY NOT NULL
) STRICT;

CREATE TABLE secrets (
	-- What administrators leave with the server for policies to name; encrypted
	-- under a key that is made of the instance's escrow key.
	name TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
	sealed BLOB NOT NULL,
	set_at INTEGER NOT NULL,
	set_by TEXT COLLATE BINARY NOT NULL
) STRICT;

CREATE TABLE pending_joins (
	-- Computer accounts with a one-time password that nobody has used yet.
	machine TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
	directory TEXT COLLATE BINARY NOT NULL,
	computer TEXT COLLATE BINARY NOT NULL,
	-- The account and the secret that made it; empty: the directory's own.
	account TEXT COLLATE BINARY NOT NULL,
	secret TEXT COLLATE BINARY NOT NULL,
	-- Whether it was made for this join, or was there and got a new password.
	made INTEGER NOT NULL,
	key_version INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	-- When it is looked after next.
	due INTEGER NOT NULL
) STRICT;

CREATE INDEX pending_joins_by_due ON pending_joins (due);
