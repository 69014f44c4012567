-- Requests that may be sent again (EXT-IDEMP), and whatever else must be unique under a key
-- of its own. Additive: what is above stays as it is.

CREATE TABLE reservation (
    key   BLOB    NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    home  BLOB    NOT NULL CHECK (length(home) = 16),
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX reservation_by_end ON reservation (until);

-- A request that its client has named: how to know it again, and what it was turned into.
CREATE TABLE repetition (
    home        BLOB    NOT NULL,
    n           INTEGER NOT NULL,
    key         BLOB    NOT NULL CHECK (length(key) = 32),
    fingerprint BLOB    NOT NULL CHECK (length(fingerprint) = 32),
    recoveries  INTEGER NOT NULL DEFAULT 0,
    granted     TEXT,
    until       INTEGER,
    generation  INTEGER,
    PRIMARY KEY (home, n),
    FOREIGN KEY (home, n) REFERENCES request ON DELETE CASCADE,
    CHECK ((granted IS NULL) = (until IS NULL))
) STRICT;

CREATE INDEX repetition_by_key ON repetition (home, key, n);

CREATE TRIGGER repetition_is_bound
    BEFORE UPDATE OF home, n, key, fingerprint ON repetition
BEGIN
    SELECT RAISE(ABORT, 'which request it is and how it is known again never change');
END;
