-- Authorization requests that were pushed, sign-in facts of OpenID Connect. Additive: what is above stays as it is.

-- Pushed authorization requests (RFC 9126): the reference rests as its digest.
CREATE TABLE pushed_request (
    digest     BLOB    NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    home       BLOB    NOT NULL CHECK (length(home) = 16),
    client_id  TEXT    NOT NULL,
    document   TEXT    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX pushed_request_by_end ON pushed_request (expires_at);

-- First-party applications whose person is not known yet: the auth_session rests as its digest.
CREATE TABLE challenge_session (
    digest     BLOB    NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    document   TEXT    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX challenge_session_by_end ON challenge_session (expires_at);
