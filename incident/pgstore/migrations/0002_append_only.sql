CREATE FUNCTION $schema.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
	RAISE EXCEPTION 'andon: events are only ever appended; % is refused', TG_OP;
END
$body$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON $schema.events
	FOR EACH STATEMENT EXECUTE FUNCTION $schema.refuse_change();
