-- What protects reviewers, and disposal.

-- Whose request it is, and when it is its turn: a client that floods a reviewer comes after the
-- others with what is beyond its first few.
ALTER TABLE inbox ADD COLUMN client_id TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE inbox ADD COLUMN person TEXT COLLATE "C";
ALTER TABLE inbox ADD COLUMN turn BIGINT NOT NULL DEFAULT 0;

UPDATE inbox
   SET client_id = (SELECT client_id
                      FROM request
                     WHERE request.home = inbox.home AND request.n = inbox.n),
       person = (SELECT document::json ->> 'person'
                   FROM snapshot
                  WHERE snapshot.home = inbox.home AND snapshot.n = inbox.n);

DROP INDEX inbox_by_deadline;
CREATE INDEX inbox_in_turn ON inbox (reviewer, turn, decide_by, home, n);
CREATE INDEX inbox_of_client ON inbox (client_id, reviewer, decide_by);
CREATE INDEX inbox_about ON inbox (person, decide_by) WHERE person IS NOT NULL;

-- How often the same was refused. Lost, it costs a cool-down, never truth.
CREATE TABLE refusal (
    essence BYTEA  NOT NULL PRIMARY KEY CHECK (length(essence) = 32),
    count   BIGINT NOT NULL CHECK (count > 0),
    last_at BIGINT NOT NULL
) WITH (fillfactor = 80);

CREATE INDEX refusal_by_time ON refusal (last_at);

-- Approvals that answer later requests too.
CREATE TABLE standing_approval (
    home      BYTEA  NOT NULL,
    n         BIGINT NOT NULL,
    client_id TEXT COLLATE "C" NOT NULL,
    subject   TEXT COLLATE "C" NOT NULL,
    approver  TEXT COLLATE "C" NOT NULL,
    document  TEXT COLLATE "C" NOT NULL,
    until     BIGINT NOT NULL,
    ended_at  BIGINT,
    PRIMARY KEY (home, n)
);

CREATE INDEX standing_approval_of ON standing_approval (client_id, subject, until)
    WHERE ended_at IS NULL;

CREATE INDEX standing_approval_by ON standing_approval (until, approver)
    WHERE ended_at IS NULL;

CREATE TRIGGER standing_approval_is_final
    BEFORE UPDATE OF home, n, client_id, subject, approver, document, until ON standing_approval
    FOR EACH ROW
    EXECUTE FUNCTION abeyance_refuse('what an approval allows never changes');

CREATE TRIGGER standing_approval_stays_ended
    BEFORE UPDATE OF ended_at ON standing_approval
    FOR EACH ROW
    WHEN (OLD.ended_at IS NOT NULL)
    EXECUTE FUNCTION abeyance_refuse('an approval that was taken back stays so');
