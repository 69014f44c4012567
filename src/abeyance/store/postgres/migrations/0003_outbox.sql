-- What somebody is to be told of a request.
-- A lease is a `due_at` ahead: whoever claimed it and died has lost it by then.

CREATE TABLE outbox (
    home    BYTEA  NOT NULL,
    n       BIGINT NOT NULL,
    seq     BIGINT NOT NULL,
    kind    TEXT COLLATE "C" NOT NULL CHECK (kind IN ('callback', 'mail', 'webhook')),
    "to"    TEXT COLLATE "C" NOT NULL,
    sealed  BYTEA,
    due_at  BIGINT,
    on_end  BIGINT NOT NULL CHECK (on_end IN (0, 1)),
    attempt BIGINT NOT NULL DEFAULT 0,
    until   BIGINT NOT NULL,
    PRIMARY KEY (home, n, seq),
    FOREIGN KEY (home, n) REFERENCES request ON DELETE CASCADE,
    CHECK (due_at IS NOT NULL OR on_end = 1)
) WITH (fillfactor = 70);

CREATE INDEX outbox_due ON outbox (due_at) WHERE due_at IS NOT NULL;

CREATE INDEX outbox_by_end ON outbox (until);
