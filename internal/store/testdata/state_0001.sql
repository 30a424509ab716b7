-- Rows as a build with step 1 of the state database wrote them.
INSERT INTO accounts (id, name, name_folded, display_name, password_hash, must_change, disabled, expires, created)
	VALUES ('account-1', 'admin', 'admin', '', '$argon2id$x', 0, 0, NULL, 1750000000000000);
INSERT INTO operators (directory, kind, principal_key, name, role) VALUES ('local', 'user', 'account-1', 'admin', 'full');
INSERT INTO sessions (id, hash, kind, user_id, user_directory, user_kind, user_key, user_name, client, created, expires)
	VALUES ('session-1', X'3031323334353637383961626364656630313233343536373839616263646566', 'operator', 'local/account-1', 'local', 'user', 'account-1', 'admin', '', 1750000000000000, 1850000000000000);
INSERT INTO join_tokens (id, hash, name, admits_managed, admits_unmanaged, max_uses, uses, expires, created, created_by, revoked)
	VALUES ('join-1', X'3031323334353637383961626364656630313233343536373839616263646566', 'office', 1, 0, 10, 1, 1850000000000000, 1750000000000000, 'admin', 0);
INSERT INTO clients (id, public_key, managed, host_name, host_os, host_arch, host_memory_mib, host_processors, agent_version, join_token, enrolled, revoked, last_seen)
	VALUES ('client-1', X'6b6579', 1, 'pc-1', 'linux', 'amd64', 4096, 4, '0.1', 'join-1', 1750000000000000, NULL, 1750000300000001);
