INSERT INTO journals (instance, client, journal, watermark) VALUES ('one', 'client-1', 'a', 9), ('one', 'client-1', 'b', 1), ('two', 'client-1', 'a', 1);
INSERT INTO events (id, instance, journal, sequence, received, time, code, severity, category, description, host, host_folded, user_name, user_folded, workspace, workspace_name, guest, client_version, policy_revision, image)
	VALUES (1, 'one', 1, 1, 90000000000, 90000000000, 501, 1, 'workspace', 'first', 'PC-1', 'pc-1', 'Anna', 'anna', 'w', 'Office', 'PC', '0.1', 1, 'office/1');
INSERT INTO events (id, instance, journal, sequence, received, time, code, severity, category, description, host, host_folded, user_name, user_folded, workspace, workspace_name, guest, client_version, policy_revision, image)
	VALUES (2, 'one', 1, 2, 1750000200000000, 1750000000000000, 502, 2, 'workspace', 'second', 'PC-1', 'pc-1', 'Anna', 'anna', 'w', 'Office', 'PC', '0.1', 2, 'office/1');
INSERT INTO events (id, instance, journal, sequence, received, time, code, severity, category, description, host, host_folded, user_name, user_folded, workspace, workspace_name, guest, client_version, policy_revision, image)
	VALUES (3, 'one', 1, 9, 1750000200000000, 1750000100000000, 501, 3, 'workspace', 'third', 'PC-1', 'pc-1', 'Anna', 'anna', 'w', 'Office', 'PC', '0.1', 2, 'office/1');
INSERT INTO events (id, instance, journal, sequence, received, time, code, severity, category, description, host, host_folded, user_name, user_folded, workspace, workspace_name, guest, client_version, policy_revision, image)
	VALUES (4, 'one', 2, 1, 1750000201000000, 1750000100000000, 100, 1, 'workspace', 'rebuilt', 'pc-2', NULL, 'SYSTEM', 'system', '', '', '', '0.1', 0, '');
INSERT INTO events (id, instance, journal, sequence, received, time, code, severity, category, description, host, host_folded, user_name, user_folded, workspace, workspace_name, guest, client_version, policy_revision, image)
	VALUES (5, 'two', 3, 1, 1750000202000000, 1750000100000000, 100, 1, 'workspace', 'other', 'pc-1', NULL, 'bert', NULL, '', '', '', '0.1', 0, '');
INSERT INTO events (id, instance, journal, sequence, received, time, code, severity, category, description, host, user_name, workspace, workspace_name, guest, client_version, policy_revision, image)
	VALUES (20, 'two', 3, 1, 1750000202000000, 0, 1, 1, '', 'removed again', '', '', '', '', '', '', 0, '');
DELETE FROM events WHERE id = 20;
