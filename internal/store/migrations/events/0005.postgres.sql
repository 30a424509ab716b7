CREATE TABLE report_roles (
	-- Roles that read the rows of all instances.
	role TEXT COLLATE "C" NOT NULL PRIMARY KEY
);

-- A role that instances.role names has the rows of that instance, and who owns
-- the tables has all. Events are copied into the partition of the instance,
-- which that role alone may write to; COPY knows no row-level security.
CREATE UNIQUE INDEX instances_by_role ON instances (role) WHERE role <> '';

ALTER TABLE instances ENABLE ROW LEVEL SECURITY;
CREATE POLICY instance ON instances USING (role = current_user);
CREATE POLICY reports ON instances FOR SELECT USING (EXISTS (SELECT 1 FROM report_roles r WHERE r.role = current_user));

ALTER TABLE report_roles ENABLE ROW LEVEL SECURITY;
CREATE POLICY reports ON report_roles FOR SELECT USING (role = current_user);

DO $$
DECLARE
	shared text;
BEGIN
	FOREACH shared IN ARRAY ARRAY['events', 'contexts', 'journals', 'alerts', 'follows', 'samples', 'event_counts'] LOOP
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', shared);
		EXECUTE format('CREATE POLICY instance ON %I USING (instance = (SELECT i.id FROM instances i WHERE i.role = current_user))', shared);
		EXECUTE format('CREATE POLICY reports ON %I FOR SELECT USING (EXISTS (SELECT 1 FROM report_roles r WHERE r.role = current_user))', shared);
	END LOOP;
END $$;

CREATE OR REPLACE FUNCTION events_reserve(name text, count bigint) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
-- Sets numbers of a table's rows apart and returns the one before them. Only who
-- stores rows may, and not so many at once that the numbers could come to an end.
DECLARE
	numbers text;
	at bigint;
BEGIN
	IF NOT (pg_has_role(session_user, current_user, 'MEMBER') OR EXISTS (SELECT 1 FROM instances WHERE role = session_user)) THEN
		RAISE insufficient_privilege USING MESSAGE = 'this role stores nothing';
	END IF;
	IF name NOT IN ('events', 'contexts', 'journals', 'alerts') OR count < 0 OR count > 1::bigint << 34 THEN
		RAISE invalid_parameter_value USING MESSAGE = 'so many numbers are not set apart';
	END IF;
	numbers := CASE name WHEN 'events' THEN 'events_id' ELSE pg_get_serial_sequence(name, 'id') END;
	EXECUTE 'SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM ' || numbers INTO at;
	IF count > 0 THEN
		PERFORM setval(numbers, at + count);
	END IF;
	RETURN at;
END $$;

-- Functions that have the rights of who owns the tables look into this schema
-- alone. PostgreSQL would look among temporary tables first, and who may make
-- these could show them instances of its own making.
DO $$
DECLARE
	f regprocedure;
BEGIN
	FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = current_schema()::regnamespace AND prosecdef AND proname LIKE 'events\_%' LOOP
		EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', f, current_schema());
	END LOOP;
END $$;
