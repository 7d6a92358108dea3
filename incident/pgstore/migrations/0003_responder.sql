CREATE TABLE $schema.responder (
	one    boolean PRIMARY KEY DEFAULT true CHECK (one), -- there is one row
	holder text    NOT NULL DEFAULT '', -- empty while nobody is the responder
	term   bigint  NOT NULL DEFAULT 0,  -- counts the responders
	beat   bigint  NOT NULL DEFAULT 0   -- moves as long as the holder lives
);

INSERT INTO $schema.responder DEFAULT VALUES;
