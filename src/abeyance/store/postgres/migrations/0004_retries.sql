-- Requests that may be sent again (EXT-IDEMP), and whatever else must be unique under a key
-- of its own.

CREATE TABLE reservation (
    key   BYTEA  NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    home  BYTEA  NOT NULL CHECK (length(home) = 16),
    until BIGINT NOT NULL
);

CREATE INDEX reservation_by_end ON reservation (until);

-- A request that its client has named: how to know it again, and what it was turned into.
CREATE TABLE repetition (
    home        BYTEA  NOT NULL,
    n           BIGINT NOT NULL,
    key         BYTEA  NOT NULL CHECK (length(key) = 32),
    fingerprint BYTEA  NOT NULL CHECK (length(fingerprint) = 32),
    recoveries  BIGINT NOT NULL DEFAULT 0,
    granted     TEXT COLLATE "C",
    until       BIGINT,
    generation  BIGINT,
    PRIMARY KEY (home, n),
    FOREIGN KEY (home, n) REFERENCES request ON DELETE CASCADE,
    CHECK ((granted IS NULL) = (until IS NULL))
) WITH (fillfactor = 80);

CREATE INDEX repetition_by_key ON repetition (home, key, n);

CREATE TRIGGER repetition_is_bound
    BEFORE UPDATE OF home, n, key, fingerprint ON repetition
    FOR EACH ROW
    EXECUTE FUNCTION abeyance_refuse('which request it is and how it is known again never change');
