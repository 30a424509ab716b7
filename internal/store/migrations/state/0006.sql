-- The disk that a client keeps its machines on, and what images take there, in
-- bytes, as its last poll told; NULL: not known.
ALTER TABLE clients ADD COLUMN disk_free INTEGER;
ALTER TABLE clients ADD COLUMN disk_total INTEGER;
ALTER TABLE clients ADD COLUMN images_bytes INTEGER;

-- 1: an operator took the order back before its client reported it.
ALTER TABLE orders ADD COLUMN withdrawn INTEGER NOT NULL DEFAULT 0;

CREATE INDEX orders_by_client ON orders (client, issued_at, id);

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
