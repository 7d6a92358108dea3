-- What was applied, by whom, and every row that it changed, before and after.
CREATE TABLE applied (
    id          text        PRIMARY KEY CHECK (id <> ''),
    approved_at timestamptz NOT NULL,
    approved_by text        NOT NULL,
    note        text        NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE repairs (
    applied text  NOT NULL REFERENCES applied (id),
    n       int   NOT NULL,
    key     text  NOT NULL,
    edit    jsonb NOT NULL,
    PRIMARY KEY (applied, n)
);

-- For bots that keep no such tables of their own. One row an id: a fill that comes
-- twice is booked once, whoever races.
CREATE TABLE fills (
    venue        text        NOT NULL,
    id           text        NOT NULL,
    order_id     text,
    client_id    text,
    symbol       text        NOT NULL,
    leg          text        NOT NULL,
    side         text        NOT NULL,
    quantity     numeric     NOT NULL,
    price        numeric     NOT NULL,
    fee          numeric     NOT NULL,
    fee_currency text,
    at           timestamptz,
    PRIMARY KEY (venue, id)
);
CREATE INDEX fills_of_order ON fills (order_id);
CREATE INDEX fills_of_client_order ON fills (client_id) WHERE order_id IS NULL;

CREATE TABLE orders (
    venue       text        NOT NULL,
    client_id   text,
    venue_id    text,
    symbol      text        NOT NULL,
    leg         text        NOT NULL,
    side        text        NOT NULL,
    kind        text        NOT NULL,
    quantity    numeric     NOT NULL,
    filled      numeric     NOT NULL,
    price       numeric,
    trigger     numeric,
    reduce_only boolean     NOT NULL,
    expires_at  timestamptz,
    status      text        NOT NULL,
    at          timestamptz
);
CREATE UNIQUE INDEX orders_by_client_id ON orders (venue, client_id);
CREATE UNIQUE INDEX orders_by_venue_id ON orders (venue, venue_id) WHERE client_id IS NULL;

CREATE TABLE balances (
    venue    text    NOT NULL,
    currency text    NOT NULL,
    total    numeric NOT NULL,
    reserved numeric NOT NULL,
    PRIMARY KEY (venue, currency)
);
