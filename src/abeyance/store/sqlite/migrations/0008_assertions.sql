-- Assertions that were used, and what was derived from which token. Additive: what is above stays
-- as it is.

-- The home is made of issuer and jti under a key that is not in this file, so that the first use
-- is one insert at the home where all that comes of it lives.
CREATE TABLE assertion (
    home       BLOB    NOT NULL PRIMARY KEY CHECK (length(home) = 16),
    issuer     TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    jti        TEXT    NOT NULL,
    digest     BLOB    NOT NULL CHECK (length(digest) = 32),
    client_id  TEXT    NOT NULL,
    jkt        TEXT,
    used_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    uses       INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE TRIGGER assertion_is_bound
    BEFORE UPDATE OF home, issuer, subject, jti, digest, client_id, jkt, used_at, expires_at
    ON assertion
BEGIN
    SELECT RAISE(ABORT, 'an assertion stays what it was when it was used');
END;

-- Each home that was derived, under the token (or, where jti is empty, the family) it came from.
CREATE TABLE derived (
    source_home BLOB NOT NULL,
    source_jti  BLOB NOT NULL,
    home        BLOB NOT NULL CHECK (length(home) = 16),
    PRIMARY KEY (source_home, source_jti, home)
) STRICT, WITHOUT ROWID;

-- When what a token rests on ends; nothing that is derived from it lives longer.
ALTER TABLE token ADD COLUMN until INTEGER;
