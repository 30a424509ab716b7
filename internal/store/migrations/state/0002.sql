CREATE TABLE used_once (
	-- What counts only once, on any replica: tickets, codes. Of each only a hash.
	purpose TEXT COLLATE BINARY NOT NULL,
	id BLOB NOT NULL,
	expires INTEGER NOT NULL,
	PRIMARY KEY (purpose, id)
) STRICT;

CREATE INDEX used_once_by_expiry ON used_once (expires);

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

-- When the identity of a client was last seen in two places, and in which.
ALTER TABLE clients ADD COLUMN copied_at INTEGER;

ALTER TABLE clients ADD COLUMN copied_detail TEXT COLLATE BINARY NOT NULL DEFAULT '';
