-- What a person grants, and what lives on after it: codes, families, refresh tokens,
-- interactions, consents. Additive: 0001 stays as it is.

ALTER TABLE request ADD COLUMN holds_family INTEGER NOT NULL DEFAULT 0
    CHECK (holds_family IN (0, 1));

-- Lists of everything, the newest first.
CREATE INDEX request_by_time ON request (opened_at, home, n);

-- What a person lets a client do: the root of everything at its home.
CREATE TABLE user_grant (
    home       BLOB    NOT NULL PRIMARY KEY CHECK (length(home) = 16),
    client_id  TEXT    NOT NULL,
    person     TEXT    NOT NULL,
    session    BLOB    NOT NULL,
    consent    TEXT    NOT NULL,
    auth_time  INTEGER NOT NULL,
    opened_at  INTEGER NOT NULL,
    live_until INTEGER NOT NULL,
    ended_at   INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX user_grant_of_person ON user_grant (person, client_id, live_until)
    WHERE ended_at IS NULL;

CREATE INDEX user_grant_of_client ON user_grant (client_id, live_until)
    WHERE ended_at IS NULL;

CREATE INDEX user_grant_of_session ON user_grant (session, live_until)
    WHERE ended_at IS NULL;

CREATE TRIGGER user_grant_is_bound
    BEFORE UPDATE OF home, client_id, person, session, consent, auth_time, opened_at ON user_grant
BEGIN
    SELECT RAISE(ABORT, 'whose grant it is and what it rests on never change');
END;

CREATE TRIGGER user_grant_stays_ended
    BEFORE UPDATE OF ended_at ON user_grant
    WHEN OLD.ended_at IS NOT NULL AND NEW.ended_at IS NULL
BEGIN
    SELECT RAISE(ABORT, 'a grant that has ended stays ended');
END;

-- A code that was spent is remembered, so that late reuse is seen.
CREATE TABLE code (
    home       BLOB    NOT NULL,
    digest     BLOB    NOT NULL CHECK (length(digest) = 32),
    document   TEXT    NOT NULL,
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    spent_at   INTEGER,
    PRIMARY KEY (home, digest)
) STRICT;

CREATE TRIGGER code_stays_spent
    BEFORE UPDATE OF spent_at ON code
    WHEN OLD.spent_at IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a code is spent once');
END;

CREATE TABLE family (
    home       BLOB    NOT NULL PRIMARY KEY,
    generation INTEGER NOT NULL CHECK (generation > 0),
    head       BLOB    NOT NULL CHECK (length(head) = 32),
    granted    TEXT    NOT NULL,
    jkt        TEXT,
    approved   INTEGER NOT NULL CHECK (approved IN (0, 1)),
    opened_at  INTEGER NOT NULL,
    idle_until INTEGER NOT NULL,
    until      INTEGER NOT NULL CHECK (until >= idle_until),
    ended_at   INTEGER
) STRICT;

CREATE TRIGGER family_is_bound
    BEFORE UPDATE OF home, granted, jkt, approved, opened_at, until ON family
BEGIN
    SELECT RAISE(ABORT, 'what a family may do, its key and its end never change');
END;

CREATE TRIGGER family_stays_ended
    BEFORE UPDATE ON family
    WHEN OLD.ended_at IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a family that has ended stays ended');
END;

CREATE TABLE refresh_token (
    home       BLOB    NOT NULL,
    digest     BLOB    NOT NULL CHECK (length(digest) = 32),
    generation INTEGER NOT NULL CHECK (generation > 0),
    issued_at  INTEGER NOT NULL,
    spent_at   INTEGER,
    successor  BLOB,
    PRIMARY KEY (home, digest)
) STRICT, WITHOUT ROWID;

-- Steps that were taken, word for word.
CREATE TABLE interaction (
    home     BLOB    NOT NULL,
    n        INTEGER NOT NULL,
    number   INTEGER NOT NULL CHECK (number > 0),
    document TEXT    NOT NULL,
    PRIMARY KEY (home, n, number),
    FOREIGN KEY (home, n) REFERENCES request
) STRICT;

CREATE TRIGGER interaction_is_final
    BEFORE UPDATE ON interaction
BEGIN
    SELECT RAISE(ABORT, 'an interaction that was taken never changes');
END;

-- Handles that must be shown again while their request is open; the key is not in this file.
CREATE TABLE sealed (
    home  BLOB    NOT NULL,
    n     INTEGER NOT NULL,
    value BLOB    NOT NULL,
    PRIMARY KEY (home, n),
    FOREIGN KEY (home, n) REFERENCES request
) STRICT, WITHOUT ROWID;

-- Whom a request concerns, for histories: written when it opens, never deleted with a decision.
CREATE TABLE concern (
    person    TEXT    NOT NULL,
    part      TEXT    NOT NULL CHECK (part IN ('reviewer', 'asker')),
    opened_at INTEGER NOT NULL,
    home      BLOB    NOT NULL,
    n         INTEGER NOT NULL,
    PRIMARY KEY (person, part, opened_at, home, n)
) STRICT, WITHOUT ROWID;

INSERT INTO concern (person, part, opened_at, home, n)
SELECT reviewer.value, 'reviewer', request.opened_at, request.home, request.n
  FROM request
  JOIN snapshot USING (home, n), json_each(snapshot.document, '$.plan.reviewers') AS reviewer;

INSERT INTO concern (person, part, opened_at, home, n)
SELECT json_extract(snapshot.document, '$.client_owner'), 'asker',
       request.opened_at, request.home, request.n
  FROM request
  JOIN snapshot USING (home, n)
 WHERE json_extract(snapshot.document, '$.client_owner') IS NOT NULL;

ALTER TABLE session ADD COLUMN forced INTEGER NOT NULL DEFAULT 0 CHECK (forced IN (0, 1));

CREATE INDEX session_not_forced ON session (person) WHERE forced = 0;

CREATE TABLE consent (
    person   TEXT NOT NULL,
    client   TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (person, client)
) STRICT, WITHOUT ROWID;

CREATE INDEX consent_of_client ON consent (client);

-- Authorization requests whose person has not answered yet.
CREATE TABLE authorization_request (
    digest     BLOB    NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    document   TEXT    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX authorization_request_by_end ON authorization_request (expires_at);

-- Calls of the admin API that carry an idempotency key.
CREATE TABLE call (
    key         BLOB    NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    fingerprint BLOB    NOT NULL CHECK (length(fingerprint) = 32),
    answer      BLOB,
    until       INTEGER NOT NULL
) STRICT;

CREATE INDEX call_by_end ON call (until);
