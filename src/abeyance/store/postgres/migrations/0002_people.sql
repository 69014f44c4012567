-- What a person grants, and what lives on after it: codes, families, refresh tokens,
-- interactions, consents.

ALTER TABLE request ADD COLUMN holds_family BIGINT NOT NULL DEFAULT 0
    CHECK (holds_family IN (0, 1));

-- Lists of everything, the newest first.
CREATE INDEX request_by_time ON request (opened_at, home, n);

-- What a person lets a client do: the root of everything at its home.
CREATE TABLE user_grant (
    home       BYTEA  NOT NULL PRIMARY KEY CHECK (length(home) = 16),
    client_id  TEXT COLLATE "C" NOT NULL,
    person     TEXT COLLATE "C" NOT NULL,
    session    BYTEA  NOT NULL,
    consent    TEXT COLLATE "C" NOT NULL,
    auth_time  BIGINT NOT NULL,
    opened_at  BIGINT NOT NULL,
    live_until BIGINT NOT NULL,
    ended_at   BIGINT
) WITH (fillfactor = 90);

CREATE INDEX user_grant_of_person ON user_grant (person, client_id, live_until)
    WHERE ended_at IS NULL;

CREATE INDEX user_grant_of_client ON user_grant (client_id, live_until)
    WHERE ended_at IS NULL;

CREATE INDEX user_grant_of_session ON user_grant (session, live_until)
    WHERE ended_at IS NULL;

CREATE TRIGGER user_grant_is_bound
    BEFORE UPDATE OF home, client_id, person, session, consent, auth_time, opened_at ON user_grant
    FOR EACH ROW
    EXECUTE FUNCTION abeyance_refuse('whose grant it is and what it rests on never change');

CREATE TRIGGER user_grant_stays_ended
    BEFORE UPDATE OF ended_at ON user_grant
    FOR EACH ROW
    WHEN (OLD.ended_at IS NOT NULL AND NEW.ended_at IS NULL)
    EXECUTE FUNCTION abeyance_refuse('a grant that has ended stays ended');

-- A code that was spent is remembered, so that late reuse is seen.
CREATE TABLE code (
    home       BYTEA  NOT NULL,
    digest     BYTEA  NOT NULL CHECK (length(digest) = 32),
    document   TEXT COLLATE "C" NOT NULL,
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    spent_at   BIGINT,
    PRIMARY KEY (home, digest)
) WITH (fillfactor = 80);

CREATE TRIGGER code_stays_spent
    BEFORE UPDATE OF spent_at ON code
    FOR EACH ROW
    WHEN (OLD.spent_at IS NOT NULL)
    EXECUTE FUNCTION abeyance_refuse('a code is spent once');

CREATE TABLE family (
    home       BYTEA  NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL CHECK (generation > 0),
    head       BYTEA  NOT NULL CHECK (length(head) = 32),
    granted    TEXT COLLATE "C" NOT NULL,
    jkt        TEXT COLLATE "C",
    approved   BIGINT NOT NULL CHECK (approved IN (0, 1)),
    opened_at  BIGINT NOT NULL,
    idle_until BIGINT NOT NULL,
    until      BIGINT NOT NULL CHECK (until >= idle_until),
    ended_at   BIGINT
) WITH (fillfactor = 70);

CREATE TRIGGER family_is_bound
    BEFORE UPDATE OF home, granted, jkt, approved, opened_at, until ON family
    FOR EACH ROW
    EXECUTE FUNCTION abeyance_refuse('what a family may do, its key and its end never change');

CREATE TRIGGER family_stays_ended
    BEFORE UPDATE ON family
    FOR EACH ROW
    WHEN (OLD.ended_at IS NOT NULL)
    EXECUTE FUNCTION abeyance_refuse('a family that has ended stays ended');

CREATE TABLE refresh_token (
    home       BYTEA  NOT NULL,
    digest     BYTEA  NOT NULL CHECK (length(digest) = 32),
    generation BIGINT NOT NULL CHECK (generation > 0),
    issued_at  BIGINT NOT NULL,
    spent_at   BIGINT,
    successor  BYTEA,
    PRIMARY KEY (home, digest)
) WITH (fillfactor = 80);

-- Steps that were taken, word for word.
CREATE TABLE interaction (
    home     BYTEA  NOT NULL,
    n        BIGINT NOT NULL,
    number   BIGINT NOT NULL CHECK (number > 0),
    document TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (home, n, number),
    FOREIGN KEY (home, n) REFERENCES request
);

CREATE TRIGGER interaction_is_final
    BEFORE UPDATE ON interaction
    FOR EACH ROW
    EXECUTE FUNCTION abeyance_refuse('an interaction that was taken never changes');

-- Handles that must be shown again while their request is open; the key is not in this database.
CREATE TABLE sealed (
    home  BYTEA  NOT NULL,
    n     BIGINT NOT NULL,
    value BYTEA  NOT NULL,
    PRIMARY KEY (home, n),
    FOREIGN KEY (home, n) REFERENCES request
);

-- Whom a request concerns, for histories: written when it opens, never deleted with a decision.
CREATE TABLE concern (
    person    TEXT COLLATE "C" NOT NULL,
    part      TEXT COLLATE "C" NOT NULL CHECK (part IN ('reviewer', 'asker')),
    opened_at BIGINT NOT NULL,
    home      BYTEA  NOT NULL,
    n         BIGINT NOT NULL,
    PRIMARY KEY (person, part, opened_at, home, n)
);

INSERT INTO concern (person, part, opened_at, home, n)
SELECT reviewer.value, 'reviewer', request.opened_at, request.home, request.n
  FROM request
  JOIN snapshot USING (home, n)
 CROSS JOIN json_array_elements_text(snapshot.document::json #> '{plan,reviewers}')
         AS reviewer (value);

INSERT INTO concern (person, part, opened_at, home, n)
SELECT snapshot.document::json ->> 'client_owner', 'asker',
       request.opened_at, request.home, request.n
  FROM request
  JOIN snapshot USING (home, n)
 WHERE snapshot.document::json ->> 'client_owner' IS NOT NULL;

ALTER TABLE session ADD COLUMN forced BIGINT NOT NULL DEFAULT 0 CHECK (forced IN (0, 1));

CREATE INDEX session_not_forced ON session (person) WHERE forced = 0;

CREATE TABLE consent (
    person   TEXT COLLATE "C" NOT NULL,
    client   TEXT COLLATE "C" NOT NULL,
    document TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (person, client)
);

CREATE INDEX consent_of_client ON consent (client);

-- Authorization requests whose person has not answered yet.
CREATE TABLE authorization_request (
    digest     BYTEA  NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    document   TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX authorization_request_by_end ON authorization_request (expires_at);

-- Calls of the admin API that carry an idempotency key.
CREATE TABLE call (
    key         BYTEA  NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    fingerprint BYTEA  NOT NULL CHECK (length(fingerprint) = 32),
    answer      BYTEA,
    until       BIGINT NOT NULL
) WITH (fillfactor = 80);

CREATE INDEX call_by_end ON call (until);
