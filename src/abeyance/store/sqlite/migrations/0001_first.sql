-- Everything of one grant lives under its home (16 random bytes), the first column of every
-- hot key. Instants are integers: microseconds since 1970, UTC. Homes, digests and token
-- numbers are bytes, never text, so that no part of a handle can be read in the file.
-- The lists of states are those of pending/states.py; a test compares them.

CREATE TABLE schema_version (
    version INTEGER PRIMARY KEY
) STRICT;

-- What a poll needs. No JSON but `detail`, which exists for the states that say more than a name.
CREATE TABLE request (
    home          BLOB    NOT NULL CHECK (length(home) = 16),
    n             INTEGER NOT NULL CHECK (n > 0),
    version       INTEGER NOT NULL CHECK (version > 0),
    state         TEXT    NOT NULL CHECK (state IN (
        'pending', 'awaiting_interaction', 'approved', 'denied', 'cancelled', 'redeemed')),
    detail        TEXT CHECK (
        (detail IS NOT NULL) = (state IN ('awaiting_interaction', 'approved', 'denied'))),
    client_id     TEXT    NOT NULL,
    jkt           TEXT,
    handle_digest BLOB    NOT NULL CHECK (length(handle_digest) = 32),
    opened_at     INTEGER NOT NULL,
    decide_by     INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    interval      INTEGER NOT NULL,
    PRIMARY KEY (home, n)
) STRICT, WITHOUT ROWID;

-- Quotas count the open ones of a client (`state` is there so that the index alone answers);
-- closing a client finds the approved ones too.
CREATE INDEX request_open ON request (client_id, expires_at, state)
    WHERE state IN ('pending', 'awaiting_interaction');

CREATE INDEX request_approved ON request (client_id)
    WHERE state IN ('approved');

CREATE TRIGGER request_is_bound
    BEFORE UPDATE OF home, n, client_id, jkt, opened_at ON request
BEGIN
    SELECT RAISE(ABORT, 'client, key and origin of a request never change');
END;

CREATE TRIGGER request_stays_ended
    BEFORE UPDATE OF state ON request
    WHEN OLD.state IN ('denied', 'cancelled', 'redeemed')
BEGIN
    SELECT RAISE(ABORT, 'a request that has ended stays as it ended');
END;

-- What was asked, written once. With rowid, because its rows are long.
CREATE TABLE snapshot (
    home     BLOB    NOT NULL,
    n        INTEGER NOT NULL,
    document TEXT    NOT NULL,
    PRIMARY KEY (home, n),
    FOREIGN KEY (home, n) REFERENCES request
) STRICT;

CREATE TRIGGER snapshot_is_frozen
    BEFORE UPDATE ON snapshot
BEGIN
    SELECT RAISE(ABORT, 'a snapshot never changes');
END;

-- Who may vote on what is still open: a row for each eligible reviewer, gone with the decision.
CREATE TABLE inbox (
    home      BLOB    NOT NULL,
    n         INTEGER NOT NULL,
    reviewer  TEXT    NOT NULL,
    decide_by INTEGER NOT NULL,
    PRIMARY KEY (home, n, reviewer),
    FOREIGN KEY (home, n) REFERENCES request
) STRICT, WITHOUT ROWID;

CREATE INDEX inbox_by_deadline ON inbox (reviewer, decide_by, home, n);

-- One vote a reviewer is the primary key.
CREATE TABLE vote (
    home          BLOB    NOT NULL,
    n             INTEGER NOT NULL,
    voter         TEXT    NOT NULL,
    verdict       TEXT    NOT NULL CHECK (verdict IN ('approve', 'deny')),
    granted       TEXT,
    reason        TEXT,
    shareable     INTEGER NOT NULL CHECK (shareable IN (0, 1)),
    seen          TEXT    NOT NULL,
    shown         TEXT    NOT NULL,
    version       INTEGER NOT NULL,
    at            INTEGER NOT NULL,
    authenticated TEXT    NOT NULL,
    PRIMARY KEY (home, n, voter),
    FOREIGN KEY (home, n) REFERENCES request
) STRICT;

CREATE TRIGGER vote_is_final
    BEFORE UPDATE ON vote
BEGIN
    SELECT RAISE(ABORT, 'a vote never changes');
END;

-- Issued access tokens, without their values. `n` 0: never deferred.
CREATE TABLE token (
    home       BLOB    NOT NULL CHECK (length(home) = 16),
    jti        BLOB    NOT NULL,
    n          INTEGER NOT NULL,
    client_id  TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    PRIMARY KEY (home, jti)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    home   BLOB    NOT NULL CHECK (length(home) = 16),
    seq    INTEGER NOT NULL,
    n      INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    event  TEXT    NOT NULL,
    actor  TEXT    NOT NULL,
    detail TEXT    NOT NULL,
    PRIMARY KEY (home, seq)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER audit_keeps_its_rows
    BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;

CREATE TRIGGER audit_keeps_its_words
    BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;

-- Sign-ins, keys, settings: what is not of one request.
CREATE TABLE security_event (
    seq    INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    event  TEXT    NOT NULL,
    actor  TEXT    NOT NULL,
    detail TEXT    NOT NULL
) STRICT;

CREATE TRIGGER security_event_keeps_its_rows
    BEFORE DELETE ON security_event
BEGIN
    SELECT RAISE(ABORT, 'the security log is append-only');
END;

CREATE TRIGGER security_event_keeps_its_words
    BEFORE UPDATE ON security_event
BEGIN
    SELECT RAISE(ABORT, 'the security log is append-only');
END;

-- Writes that mean nothing, spread over a few rows.
CREATE TABLE pulse (
    bucket INTEGER PRIMARY KEY,
    beats  INTEGER NOT NULL
) STRICT;

CREATE TABLE client (
    id       TEXT NOT NULL PRIMARY KEY,
    document TEXT NOT NULL
) STRICT;

CREATE TABLE person (
    id       TEXT NOT NULL PRIMARY KEY,
    document TEXT NOT NULL
) STRICT;

-- A session that has ended stays as a gravestone: a late write of its last use cannot raise it.
CREATE TABLE session (
    digest       BLOB    NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    person       TEXT    NOT NULL,
    signed_in_at INTEGER NOT NULL,
    seen_at      INTEGER NOT NULL,
    ended        INTEGER NOT NULL DEFAULT 0 CHECK (ended IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE INDEX session_of_person ON session (person) WHERE ended = 0;

CREATE TABLE invitation (
    digest     BLOB    NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    person     TEXT    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
