-- Clients that registered by themselves, and the tokens that let them.

CREATE TABLE registration (
    client_id     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    token         BYTEA  NOT NULL CHECK (length(token) = 32),
    registered_at BIGINT NOT NULL,
    metadata      TEXT COLLATE "C" NOT NULL
);

CREATE TABLE initial_token (
    digest     BYTEA  NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    note       TEXT COLLATE "C" NOT NULL,
    remaining  BIGINT NOT NULL CHECK (remaining >= 0),
    expires_at BIGINT NOT NULL
) WITH (fillfactor = 80);

CREATE INDEX initial_token_by_expiry ON initial_token (expires_at);
