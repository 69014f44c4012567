-- Authorization requests that were pushed, sign-in facts of OpenID Connect.

-- Pushed authorization requests (RFC 9126): the reference rests as its digest.
CREATE TABLE pushed_request (
    digest     BYTEA  NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    home       BYTEA  NOT NULL CHECK (length(home) = 16),
    client_id  TEXT COLLATE "C" NOT NULL,
    document   TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX pushed_request_by_end ON pushed_request (expires_at);

-- First-party applications whose person is not known yet: the auth_session rests as its digest.
CREATE TABLE challenge_session (
    digest     BYTEA  NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    document   TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX challenge_session_by_end ON challenge_session (expires_at);
