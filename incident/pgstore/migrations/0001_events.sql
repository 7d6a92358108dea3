CREATE TABLE $schema.events (
	seq       bigint      PRIMARY KEY CHECK (seq > 0),
	incident  text        NOT NULL, -- the number as it stands in the line, with JSON's escapes
	line      text        NOT NULL, -- the event, the hash of the one before, its own hash
	stored_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A number may be longer than an index takes.
CREATE INDEX events_of_incident ON $schema.events (hashtextextended(incident, 0), seq);
