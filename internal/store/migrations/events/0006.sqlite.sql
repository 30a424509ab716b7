-- Problems are counted by code, category or severity from the index alone: each
-- row that is looked up elsewhere costs more than reading many in order. After
-- id come the columns that are read beside it.
DROP INDEX events_problems;
CREATE INDEX events_problems ON events (instance, received, id, severity, code, category, context, count) WHERE severity >= 2;
