-- Clients that registered by themselves, and the tokens that let them.

CREATE TABLE registration (
    client_id     TEXT    NOT NULL PRIMARY KEY,
    token         BLOB    NOT NULL CHECK (length(token) = 32),
    registered_at INTEGER NOT NULL,
    metadata      TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE initial_token (
    digest     BLOB    NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    note       TEXT    NOT NULL,
    remaining  INTEGER NOT NULL CHECK (remaining >= 0),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX initial_token_by_expiry ON initial_token (expires_at);
