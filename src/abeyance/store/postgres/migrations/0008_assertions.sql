-- Assertions that were used, and what was derived from which token.

-- The home is made of issuer and jti under a key that is not in this database, so that the first
-- use is one insert at the home where all that comes of it lives.
CREATE TABLE assertion (
    home       BYTEA  NOT NULL PRIMARY KEY CHECK (length(home) = 16),
    issuer     TEXT COLLATE "C" NOT NULL,
    subject    TEXT COLLATE "C" NOT NULL,
    jti        TEXT COLLATE "C" NOT NULL,
    digest     BYTEA  NOT NULL CHECK (length(digest) = 32),
    client_id  TEXT COLLATE "C" NOT NULL,
    jkt        TEXT COLLATE "C",
    used_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    uses       BIGINT NOT NULL DEFAULT 1
) WITH (fillfactor = 90);

CREATE TRIGGER assertion_is_bound
    BEFORE UPDATE OF home, issuer, subject, jti, digest, client_id, jkt, used_at, expires_at
    ON assertion
    FOR EACH ROW
    EXECUTE FUNCTION abeyance_refuse('an assertion stays what it was when it was used');

-- Each home that was derived, under the token (or, where jti is empty, the family) it came from.
CREATE TABLE derived (
    source_home BYTEA NOT NULL,
    source_jti  BYTEA NOT NULL,
    home        BYTEA NOT NULL CHECK (length(home) = 16),
    PRIMARY KEY (source_home, source_jti, home)
);

-- When what a token rests on ends; nothing that is derived from it lives longer.
ALTER TABLE token ADD COLUMN until BIGINT;
