-- What somebody is to be told of a request. Additive: what is above stays as it is.
-- A lease is a `due_at` ahead: whoever claimed it and died has lost it by then.

CREATE TABLE outbox (
    home    BLOB    NOT NULL,
    n       INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    kind    TEXT    NOT NULL CHECK (kind IN ('callback', 'mail', 'webhook')),
    "to"    TEXT    NOT NULL,
    sealed  BLOB,
    due_at  INTEGER,
    on_end  INTEGER NOT NULL CHECK (on_end IN (0, 1)),
    attempt INTEGER NOT NULL DEFAULT 0,
    until   INTEGER NOT NULL,
    PRIMARY KEY (home, n, seq),
    FOREIGN KEY (home, n) REFERENCES request ON DELETE CASCADE,
    CHECK (due_at IS NOT NULL OR on_end)
) STRICT, WITHOUT ROWID;

CREATE INDEX outbox_due ON outbox (due_at) WHERE due_at IS NOT NULL;

CREATE INDEX outbox_by_end ON outbox (until);
