-- The device grant. Additive: what is above stays as it is.

-- A device session: who asked for what, and what its person has said. Its user code is a
-- reservation that leads here.
CREATE TABLE device (
    home          BLOB    NOT NULL PRIMARY KEY CHECK (length(home) = 16),
    digest        BLOB    NOT NULL CHECK (length(digest) = 32),
    client_id     TEXT    NOT NULL,
    document      TEXT    NOT NULL,
    jkt           TEXT,
    address       TEXT    NOT NULL,
    stage         TEXT    NOT NULL CHECK (stage IN ('waiting', 'agreed', 'denied', 'spent')),
    claim_person  TEXT,
    claim_session BLOB,
    claim_until   INTEGER,
    contested_by  TEXT,
    opened_at     INTEGER NOT NULL,
    decide_by     INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX device_of_address ON device (client_id, address, expires_at);

CREATE INDEX device_by_end ON device (expires_at);

CREATE TRIGGER device_is_bound
    BEFORE UPDATE OF home, digest, client_id, document, address, opened_at, decide_by, expires_at
    ON device
BEGIN
    SELECT RAISE(ABORT, 'what a device asked for never changes');
END;

CREATE TRIGGER device_keeps_its_key
    BEFORE UPDATE OF jkt ON device
    WHEN OLD.jkt IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a device session has one key');
END;

CREATE TRIGGER device_is_answered_once
    BEFORE UPDATE OF stage ON device
    WHEN OLD.stage IN ('denied', 'spent')
BEGIN
    SELECT RAISE(ABORT, 'a device session ends once');
END;
