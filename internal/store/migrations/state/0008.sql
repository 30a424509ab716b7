-- Forms of names in which they are compared, where these are others: SQLite
-- knows no case but that of ASCII. What is there is filled in by foldNames.
ALTER TABLE clients ADD COLUMN host_folded TEXT COLLATE BINARY;
ALTER TABLE machines ADD COLUMN user_folded TEXT COLLATE BINARY;
ALTER TABLE audit ADD COLUMN who_folded TEXT COLLATE BINARY;
ALTER TABLE audit ADD COLUMN object_folded TEXT COLLATE BINARY;
