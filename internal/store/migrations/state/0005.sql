-- How many seconds the machine may run without its lease being renewed, as its
-- client last learnt; NULL: without a limit, or not known.
ALTER TABLE machines ADD COLUMN offline_budget INTEGER;
