-- The state database after all migrations, on SQLite, for reading. Compared by
-- TestSchema; `go test ./internal/store -run TestSchema -update` writes it.

CREATE TABLE accounts (
	-- Users of the embedded directory.
	id TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
	name TEXT COLLATE BINARY NOT NULL,
	-- name.Fold of name: unique without regard to case.
	name_folded TEXT COLLATE BINARY NOT NULL UNIQUE,
	display_name TEXT COLLATE BINARY NOT NULL,
	-- argon2id in PHC form; empty: cannot sign in.
	password_hash TEXT COLLATE BINARY NOT NULL,
	must_change INTEGER NOT NULL,
	disabled INTEGER NOT NULL,
	expires INTEGER,
	created INTEGER NOT NULL
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

CREATE TABLE api_tokens (
	-- What lets programs use the API; of the secret only the SHA-256.
	id TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
	hash BLOB NOT NULL,
	name TEXT COLLATE BINARY NOT NULL,
	owner_directory TEXT COLLATE BINARY NOT NULL,
	owner_kind TEXT COLLATE BINARY NOT NULL,
	owner_key TEXT COLLATE BINARY NOT NULL,
	owner_name TEXT COLLATE BINARY NOT NULL,
	role TEXT COLLATE BINARY NOT NULL,
	-- JSON array of access.Area; empty: all.
	areas TEXT COLLATE BINARY NOT NULL,
	created INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	last_used INTEGER,
	revoked INTEGER
) STRICT;

CREATE TABLE audit (
	-- Every change and who made it.
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	time INTEGER NOT NULL,
	who TEXT COLLATE BINARY NOT NULL,
	principal TEXT COLLATE BINARY NOT NULL,
	action TEXT COLLATE BINARY NOT NULL,
	object TEXT COLLATE BINARY NOT NULL,
	detail TEXT COLLATE BINARY NOT NULL,
	request TEXT COLLATE BINARY NOT NULL,
	remote TEXT COLLATE BINARY NOT NULL
, who_folded TEXT COLLATE BINARY, object_folded TEXT COLLATE BINARY) STRICT;

CREATE INDEX audit_by_time ON audit (time, id);

CREATE TABLE clients (
	-- Enrolled clients.
	id TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
	public_key BLOB NOT NULL,
	managed INTEGER NOT NULL,
	host_name TEXT COLLATE BINARY NOT NULL,
	host_os TEXT COLLATE BINARY NOT NULL,
	host_arch TEXT COLLATE BINARY NOT NULL,
	host_memory_mib INTEGER NOT NULL,
	host_processors INTEGER NOT NULL,
	agent_version TEXT COLLATE BINARY NOT NULL,
	join_token TEXT COLLATE BINARY NOT NULL,
	enrolled INTEGER NOT NULL,
	revoked INTEGER,
	last_seen INTEGER
, copied_at INTEGER, copied_detail TEXT COLLATE BINARY NOT NULL DEFAULT '', clock_ahead INTEGER, disk_free INTEGER, disk_total INTEGER, images_bytes INTEGER, host_folded TEXT COLLATE BINARY) STRICT;

CREATE INDEX clients_by_host ON clients (host_name, id);

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

CREATE TABLE deliveries (
	-- Versions of images that came to be whole on clients, as these reported.
	client TEXT COLLATE BINARY NOT NULL,
	image TEXT COLLATE BINARY NOT NULL,
	-- By the client's clock: what is reported again is the same delivery.
	finished INTEGER NOT NULL,
	received INTEGER NOT NULL,
	-- Stored bytes of the image, and what of them came over the network.
	size INTEGER NOT NULL,
	fetched INTEGER NOT NULL,
	PRIMARY KEY (client, image, finished)
) STRICT;

CREATE INDEX deliveries_by_image ON deliveries (image, received);

CREATE INDEX deliveries_by_time ON deliveries (received);

CREATE TABLE diagnostics (
	-- Archives of diagnostics that clients sent because an order asked for them.
	id TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
	client TEXT COLLATE BINARY NOT NULL,
	order_id TEXT COLLATE BINARY NOT NULL UNIQUE,
	received INTEGER NOT NULL,
	size INTEGER NOT NULL,
	-- A tar archive, compressed with gzip.
	archive BLOB NOT NULL
) STRICT;

CREATE INDEX diagnostics_by_client ON diagnostics (client, received, id);

CREATE INDEX diagnostics_by_time ON diagnostics (received, id);

CREATE TABLE directory_groups (
	-- Groups of the embedded directory.
	id TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
	name TEXT COLLATE BINARY NOT NULL,
	name_folded TEXT COLLATE BINARY NOT NULL UNIQUE
) STRICT;

CREATE TABLE federated_accounts (
	-- Users of OpenID providers that are directories of their own, as the last
	-- ID token described them.
	directory TEXT COLLATE BINARY NOT NULL,
	-- Issuer and subject.
	account_key TEXT COLLATE BINARY NOT NULL,
	name TEXT COLLATE BINARY NOT NULL,
	name_folded TEXT COLLATE BINARY NOT NULL,
	display_name TEXT COLLATE BINARY NOT NULL,
	-- JSON array of names.
	group_names TEXT COLLATE BINARY NOT NULL,
	-- The refresh token, encrypted; empty: none.
	refresh BLOB NOT NULL,
	signed_in INTEGER NOT NULL,
	checked INTEGER NOT NULL,
	-- Why the provider refuses the account, or empty.
	refused TEXT COLLATE BINARY NOT NULL,
	PRIMARY KEY (directory, account_key)
) STRICT;

CREATE TABLE group_members (
	-- Users and groups in groups; never a cycle.
	group_id TEXT COLLATE BINARY NOT NULL REFERENCES directory_groups (id) ON DELETE CASCADE,
	kind TEXT COLLATE BINARY NOT NULL CHECK (kind IN ('user', 'group')),
	member TEXT COLLATE BINARY NOT NULL,
	PRIMARY KEY (group_id, kind, member)
) STRICT;

CREATE INDEX group_members_by_member ON group_members (kind, member);

CREATE TABLE instance (
	-- The one row: which instance this is. The epoch is raised by promote and
	-- restore.
	one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	id TEXT COLLATE BINARY NOT NULL,
	epoch INTEGER NOT NULL
) STRICT;

CREATE TABLE join_tokens (
	-- What admits new clients; of the secret only the SHA-256.
	id TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
	hash BLOB NOT NULL UNIQUE,
	name TEXT COLLATE BINARY NOT NULL,
	admits_managed INTEGER NOT NULL,
	admits_unmanaged INTEGER NOT NULL,
	max_uses INTEGER NOT NULL,
	uses INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	created INTEGER NOT NULL,
	created_by TEXT COLLATE BINARY NOT NULL,
	revoked INTEGER NOT NULL
) STRICT;

CREATE TABLE machines (
	-- One user's machine from one workspace on one client.
	id TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
	client TEXT COLLATE BINARY NOT NULL,
	user_id TEXT COLLATE BINARY NOT NULL,
	user_directory TEXT COLLATE BINARY NOT NULL,
	user_kind TEXT COLLATE BINARY NOT NULL,
	user_key TEXT COLLATE BINARY NOT NULL,
	user_name TEXT COLLATE BINARY NOT NULL,
	workspace TEXT COLLATE BINARY NOT NULL,
	-- Encrypted under the instance's escrow key.
	disk_key BLOB NOT NULL,
	computer_name TEXT COLLATE BINARY NOT NULL,
	created INTEGER NOT NULL,
	-- What the client last reported, and since when the state is what it is.
	state TEXT COLLATE BINARY NOT NULL,
	detail TEXT COLLATE BINARY NOT NULL,
	image TEXT COLLATE BINARY NOT NULL,
	guest TEXT COLLATE BINARY NOT NULL,
	reported INTEGER,
	state_since INTEGER, policy_revision INTEGER NOT NULL DEFAULT 0, locked INTEGER NOT NULL DEFAULT 0, at_next_start TEXT COLLATE BINARY NOT NULL DEFAULT '[]', not_enforced TEXT COLLATE BINARY NOT NULL DEFAULT '[]', offline_budget INTEGER, user_folded TEXT COLLATE BINARY,
	UNIQUE (client, user_id, workspace)
) STRICT;

CREATE UNIQUE INDEX machines_by_computer_name ON machines (computer_name) WHERE computer_name <> '';

CREATE TABLE operators (
	-- Who may use the console, by the key of the principal.
	directory TEXT COLLATE BINARY NOT NULL,
	kind TEXT COLLATE BINARY NOT NULL CHECK (kind IN ('user', 'group')),
	principal_key TEXT COLLATE BINARY NOT NULL,
	name TEXT COLLATE BINARY NOT NULL,
	role TEXT COLLATE BINARY NOT NULL,
	PRIMARY KEY (directory, kind, principal_key)
) STRICT;

CREATE TABLE orders (
	-- Orders to clients and their results.
	id TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
	version INTEGER NOT NULL,
	instance TEXT COLLATE BINARY NOT NULL,
	epoch INTEGER NOT NULL,
	client TEXT COLLATE BINARY NOT NULL,
	machine TEXT COLLATE BINARY NOT NULL,
	kind TEXT COLLATE BINARY NOT NULL,
	reason TEXT COLLATE BINARY NOT NULL,
	issued_at INTEGER NOT NULL,
	issued_by TEXT COLLATE BINARY NOT NULL,
	done INTEGER,
	error TEXT COLLATE BINARY NOT NULL
, grace INTEGER, withdrawn INTEGER NOT NULL DEFAULT 0) STRICT;

CREATE INDEX orders_by_client ON orders (client, issued_at, id);

CREATE INDEX orders_pending ON orders (issued_at, id) WHERE done IS NULL;

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

CREATE TABLE policies (
	-- Effective policies by their hash; immutable.
	hash TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
	body BLOB NOT NULL
) STRICT;

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

CREATE TABLE publishers (
	-- Keys whose signature on an image this instance trusts.
	id TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
	public_key BLOB NOT NULL,
	-- JSON array of seal.Purpose.
	purposes TEXT COLLATE BINARY NOT NULL,
	name TEXT COLLATE BINARY NOT NULL,
	added_by TEXT COLLATE BINARY NOT NULL,
	added INTEGER NOT NULL
) STRICT;

CREATE TABLE revisions (
	-- Every revision of every workspace, deleted ones too.
	workspace TEXT COLLATE BINARY NOT NULL,
	number INTEGER NOT NULL,
	name TEXT COLLATE BINARY NOT NULL,
	etag TEXT COLLATE BINARY NOT NULL,
	author TEXT COLLATE BINARY NOT NULL,
	time INTEGER NOT NULL,
	message TEXT COLLATE BINARY NOT NULL,
	-- Canonical JSON.
	document BLOB NOT NULL,
	PRIMARY KEY (workspace, number)
) STRICT;

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

CREATE TABLE schema_version (
	-- How far the migrations of a track have come.
	track TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
	version INTEGER NOT NULL
) STRICT;

CREATE TABLE secrets (
	-- What administrators leave with the server for policies to name; encrypted
	-- under a key that is made of the instance's escrow key.
	name TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
	sealed BLOB NOT NULL,
	set_at INTEGER NOT NULL,
	set_by TEXT COLLATE BINARY NOT NULL
) STRICT;

CREATE TABLE sessions (
	-- Who is signed in; of the secret only the SHA-256.
	id TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
	hash BLOB NOT NULL,
	kind TEXT COLLATE BINARY NOT NULL,
	user_id TEXT COLLATE BINARY NOT NULL,
	user_directory TEXT COLLATE BINARY NOT NULL,
	user_kind TEXT COLLATE BINARY NOT NULL,
	user_key TEXT COLLATE BINARY NOT NULL,
	user_name TEXT COLLATE BINARY NOT NULL,
	client TEXT COLLATE BINARY NOT NULL,
	created INTEGER NOT NULL,
	expires INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_by_expiry ON sessions (expires);

CREATE INDEX sessions_by_user ON sessions (user_id);

CREATE TABLE used_once (
	-- What counts only once, on any replica: tickets, codes. Of each only a hash.
	purpose TEXT COLLATE BINARY NOT NULL,
	id BLOB NOT NULL,
	expires INTEGER NOT NULL,
	PRIMARY KEY (purpose, id)
) STRICT;

CREATE INDEX used_once_by_expiry ON used_once (expires);

CREATE TABLE workspaces (
	-- The workspaces that exist, with the number of their current revision.
	id TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
	name TEXT COLLATE BINARY NOT NULL,
	name_folded TEXT COLLATE BINARY NOT NULL UNIQUE,
	current_number INTEGER NOT NULL
) STRICT;
