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

CREATE INDEX deliveries_by_time ON deliveries (received);
CREATE INDEX deliveries_by_image ON deliveries (image, received);
