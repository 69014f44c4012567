-- The device grant.

-- A device session: who asked for what, and what its person has said. Its user code is a
-- reservation that leads here.
CREATE TABLE device (
    home          BYTEA  NOT NULL PRIMARY KEY CHECK (length(home) = 16),
    digest        BYTEA  NOT NULL CHECK (length(digest) = 32),
    client_id     TEXT COLLATE "C" NOT NULL,
    document      TEXT COLLATE "C" NOT NULL,
    jkt           TEXT COLLATE "C",
    address       TEXT COLLATE "C" NOT NULL,
    stage         TEXT COLLATE "C" NOT NULL
        CHECK (stage IN ('waiting', 'agreed', 'denied', 'spent')),
    claim_person  TEXT COLLATE "C",
    claim_session BYTEA,
    claim_until   BIGINT,
    contested_by  TEXT COLLATE "C",
    opened_at     BIGINT NOT NULL,
    decide_by     BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL
) WITH (fillfactor = 70);

CREATE INDEX device_of_address ON device (client_id, address, expires_at);

CREATE INDEX device_by_end ON device (expires_at);

CREATE TRIGGER device_is_bound
    BEFORE UPDATE OF home, digest, client_id, document, address, opened_at, decide_by, expires_at
    ON device
    FOR EACH ROW
    EXECUTE FUNCTION abeyance_refuse('what a device asked for never changes');

CREATE TRIGGER device_keeps_its_key
    BEFORE UPDATE OF jkt ON device
    FOR EACH ROW
    WHEN (OLD.jkt IS NOT NULL)
    EXECUTE FUNCTION abeyance_refuse('a device session has one key');

CREATE TRIGGER device_is_answered_once
    BEFORE UPDATE OF stage ON device
    FOR EACH ROW
    WHEN (OLD.stage IN ('denied', 'spent'))
    EXECUTE FUNCTION abeyance_refuse('a device session ends once');
