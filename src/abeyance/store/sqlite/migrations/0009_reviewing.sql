-- What protects reviewers, and disposal. Additive: what is above stays as it is.

-- Whose request it is, and when it is its turn: a client that floods a reviewer comes after the
-- others with what is beyond its first few.
ALTER TABLE inbox ADD COLUMN client_id TEXT NOT NULL DEFAULT '';
ALTER TABLE inbox ADD COLUMN person TEXT;
ALTER TABLE inbox ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;

UPDATE inbox
   SET client_id = (SELECT client_id
                      FROM request
                     WHERE request.home = inbox.home AND request.n = inbox.n),
       person = (SELECT json_extract(document, '$.person')
                   FROM snapshot
                  WHERE snapshot.home = inbox.home AND snapshot.n = inbox.n);

DROP INDEX inbox_by_deadline;
CREATE INDEX inbox_in_turn ON inbox (reviewer, turn, decide_by, home, n);
CREATE INDEX inbox_of_client ON inbox (client_id, reviewer, decide_by);
CREATE INDEX inbox_about ON inbox (person, decide_by) WHERE person IS NOT NULL;

-- How often the same was refused. Lost, it costs a cool-down, never truth.
CREATE TABLE refusal (
    essence BLOB    NOT NULL PRIMARY KEY CHECK (length(essence) = 32),
    count   INTEGER NOT NULL CHECK (count > 0),
    last_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX refusal_by_time ON refusal (last_at);

-- Approvals that answer later requests too.
CREATE TABLE standing_approval (
    home      BLOB    NOT NULL,
    n         INTEGER NOT NULL,
    client_id TEXT    NOT NULL,
    subject   TEXT    NOT NULL,
    approver  TEXT    NOT NULL,
    document  TEXT    NOT NULL,
    until     INTEGER NOT NULL,
    ended_at  INTEGER,
    PRIMARY KEY (home, n)
) STRICT;

CREATE INDEX standing_approval_of ON standing_approval (client_id, subject, until)
    WHERE ended_at IS NULL;

CREATE INDEX standing_approval_by ON standing_approval (until, approver)
    WHERE ended_at IS NULL;

CREATE TRIGGER standing_approval_is_final
    BEFORE UPDATE OF home, n, client_id, subject, approver, document, until ON standing_approval
BEGIN
    SELECT RAISE(ABORT, 'what an approval allows never changes');
END;

CREATE TRIGGER standing_approval_stays_ended
    BEFORE UPDATE OF ended_at ON standing_approval
    WHEN OLD.ended_at IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'an approval that was taken back stays so');
END;
