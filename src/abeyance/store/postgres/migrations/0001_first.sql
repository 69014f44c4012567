-- The same tables as SQLite's, under the same numbers (tests/postgres/test_schema.py compares
-- them); what follows here says what differs. Text is compared byte by byte, as SQLite does:
-- an order that hangs on the machine's locale would move pages of lists. Flags are 0 and 1.
-- Rows that are updated in place have room beside them (fillfactor).

CREATE TABLE schema_version (
    version BIGINT PRIMARY KEY
);

-- What keeps rows as they were once written. The argument says what was tried.
CREATE FUNCTION abeyance_refuse() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'integrity_constraint_violation';
END
$$;

-- What a poll needs. No JSON but `detail`, which exists for the states that say more than a name.
CREATE TABLE request (
    home          BYTEA  NOT NULL CHECK (length(home) = 16),
    n             BIGINT NOT NULL CHECK (n > 0),
    version       BIGINT NOT NULL CHECK (version > 0),
    state         TEXT COLLATE "C" NOT NULL CHECK (state IN (
        'pending', 'awaiting_interaction', 'approved', 'denied', 'cancelled', 'redeemed')),
    detail        TEXT COLLATE "C" CHECK (
        (detail IS NOT NULL) = (state IN ('awaiting_interaction', 'approved', 'denied'))),
    client_id     TEXT COLLATE "C" NOT NULL,
    jkt           TEXT COLLATE "C",
    handle_digest BYTEA  NOT NULL CHECK (length(handle_digest) = 32),
    opened_at     BIGINT NOT NULL,
    decide_by     BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    interval      BIGINT NOT NULL,
    PRIMARY KEY (home, n)
) WITH (fillfactor = 80);

-- Quotas count the open ones of a client (`state` is there so that the index alone answers);
-- closing a client finds the approved ones too.
CREATE INDEX request_open ON request (client_id, expires_at, state)
    WHERE state IN ('pending', 'awaiting_interaction');

CREATE INDEX request_approved ON request (client_id)
    WHERE state IN ('approved');

CREATE TRIGGER request_is_bound
    BEFORE UPDATE OF home, n, client_id, jkt, opened_at ON request
    FOR EACH ROW
    EXECUTE FUNCTION abeyance_refuse('client, key and origin of a request never change');

CREATE TRIGGER request_stays_ended
    BEFORE UPDATE OF state ON request
    FOR EACH ROW
    WHEN (OLD.state IN ('denied', 'cancelled', 'redeemed'))
    EXECUTE FUNCTION abeyance_refuse('a request that has ended stays as it ended');

-- What was asked, written once.
CREATE TABLE snapshot (
    home     BYTEA  NOT NULL,
    n        BIGINT NOT NULL,
    document TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (home, n),
    FOREIGN KEY (home, n) REFERENCES request
);

CREATE TRIGGER snapshot_is_frozen
    BEFORE UPDATE ON snapshot
    FOR EACH ROW
    EXECUTE FUNCTION abeyance_refuse('a snapshot never changes');

-- Who may vote on what is still open: a row for each eligible reviewer, gone with the decision.
CREATE TABLE inbox (
    home      BYTEA  NOT NULL,
    n         BIGINT NOT NULL,
    reviewer  TEXT COLLATE "C" NOT NULL,
    decide_by BIGINT NOT NULL,
    PRIMARY KEY (home, n, reviewer),
    FOREIGN KEY (home, n) REFERENCES request
);

CREATE INDEX inbox_by_deadline ON inbox (reviewer, decide_by, home, n);

-- One vote a reviewer is the primary key.
CREATE TABLE vote (
    home          BYTEA  NOT NULL,
    n             BIGINT NOT NULL,
    voter         TEXT COLLATE "C" NOT NULL,
    verdict       TEXT COLLATE "C" NOT NULL CHECK (verdict IN ('approve', 'deny')),
    granted       TEXT COLLATE "C",
    reason        TEXT COLLATE "C",
    shareable     BIGINT NOT NULL CHECK (shareable IN (0, 1)),
    seen          TEXT COLLATE "C" NOT NULL,
    shown         TEXT COLLATE "C" NOT NULL,
    version       BIGINT NOT NULL,
    at            BIGINT NOT NULL,
    authenticated TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (home, n, voter),
    FOREIGN KEY (home, n) REFERENCES request
);

CREATE TRIGGER vote_is_final
    BEFORE UPDATE ON vote
    FOR EACH ROW
    EXECUTE FUNCTION abeyance_refuse('a vote never changes');

-- Issued access tokens, without their values. `n` 0: never deferred.
CREATE TABLE token (
    home       BYTEA  NOT NULL CHECK (length(home) = 16),
    jti        BYTEA  NOT NULL,
    n          BIGINT NOT NULL,
    client_id  TEXT COLLATE "C" NOT NULL,
    subject    TEXT COLLATE "C" NOT NULL,
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    PRIMARY KEY (home, jti)
);

CREATE TABLE audit (
    home   BYTEA  NOT NULL CHECK (length(home) = 16),
    seq    BIGINT NOT NULL,
    n      BIGINT NOT NULL,
    at     BIGINT NOT NULL,
    event  TEXT COLLATE "C" NOT NULL,
    actor  TEXT COLLATE "C" NOT NULL,
    detail TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (home, seq)
);

CREATE TRIGGER audit_keeps_its_rows
    BEFORE DELETE ON audit
    FOR EACH ROW
    EXECUTE FUNCTION abeyance_refuse('the audit is append-only');

CREATE TRIGGER audit_keeps_its_words
    BEFORE UPDATE ON audit
    FOR EACH ROW
    EXECUTE FUNCTION abeyance_refuse('the audit is append-only');

-- Sign-ins, keys, settings: what is not of one request.
CREATE TABLE security_event (
    seq    BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    at     BIGINT NOT NULL,
    event  TEXT COLLATE "C" NOT NULL,
    actor  TEXT COLLATE "C" NOT NULL,
    detail TEXT COLLATE "C" NOT NULL
);

CREATE TRIGGER security_event_keeps_its_rows
    BEFORE DELETE ON security_event
    FOR EACH ROW
    EXECUTE FUNCTION abeyance_refuse('the security log is append-only');

CREATE TRIGGER security_event_keeps_its_words
    BEFORE UPDATE ON security_event
    FOR EACH ROW
    EXECUTE FUNCTION abeyance_refuse('the security log is append-only');

-- Writes that mean nothing, spread over a few rows.
CREATE TABLE pulse (
    bucket BIGINT PRIMARY KEY,
    beats  BIGINT NOT NULL
) WITH (fillfactor = 10);

CREATE TABLE client (
    id       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    document TEXT COLLATE "C" NOT NULL
);

CREATE TABLE person (
    id       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    document TEXT COLLATE "C" NOT NULL
);

-- A session that has ended stays as a gravestone: a late write of its last use cannot raise it.
CREATE TABLE session (
    digest       BYTEA  NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    person       TEXT COLLATE "C" NOT NULL,
    signed_in_at BIGINT NOT NULL,
    seen_at      BIGINT NOT NULL,
    ended        BIGINT NOT NULL DEFAULT 0 CHECK (ended IN (0, 1))
) WITH (fillfactor = 80);

CREATE INDEX session_of_person ON session (person) WHERE ended = 0;

CREATE TABLE invitation (
    digest     BYTEA  NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    person     TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL
);

-- Proofs and assertions that were used, by digest: all processes remember them together and may
-- lose them, so it is not logged. SQLite, which has one process, has no such table.
CREATE UNLOGGED TABLE used_proof (
    digest BYTEA  NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    until  BIGINT NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX used_proof_by_end ON used_proof (until);
