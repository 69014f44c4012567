-- What is kept only so long: where disposal finds it, and what it may delete. Additive: what is
-- above stays as it is.

-- Disposal takes the details of a request first, and the request itself later: what is left in
-- between answers late polls, and is in no list.
ALTER TABLE request ADD COLUMN disposed INTEGER NOT NULL DEFAULT 0 CHECK (disposed IN (0, 1));

CREATE INDEX request_by_end ON request (disposed, expires_at);

-- The greatest number that a request of this home has had which is gone: none is given twice.
ALTER TABLE user_grant ADD COLUMN past_n INTEGER NOT NULL DEFAULT 0;

CREATE INDEX user_grant_by_end ON user_grant (live_until);
CREATE INDEX derived_by_home ON derived (home);
CREATE INDEX token_by_end ON token (expires_at);
CREATE INDEX assertion_by_end ON assertion (expires_at);
CREATE INDEX session_by_use ON session (seen_at);
CREATE INDEX invitation_by_end ON invitation (expires_at);
CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX security_event_by_time ON security_event (at);

-- How far disposal may reach into a log. Nothing later than that can be deleted.
CREATE TABLE disposal (
    log    TEXT    NOT NULL PRIMARY KEY CHECK (log IN ('audit', 'security_event')),
    before INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

DROP TRIGGER audit_keeps_its_rows;
CREATE TRIGGER audit_keeps_its_rows
    BEFORE DELETE ON audit
    WHEN OLD.at > coalesce((SELECT before FROM disposal WHERE log = 'audit'), -1)
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;

DROP TRIGGER security_event_keeps_its_rows;
CREATE TRIGGER security_event_keeps_its_rows
    BEFORE DELETE ON security_event
    WHEN OLD.at > coalesce((SELECT before FROM disposal WHERE log = 'security_event'), -1)
BEGIN
    SELECT RAISE(ABORT, 'the security log is append-only');
END;

-- Who is being erased, and what stands for them from then on. Never seen from outside: a row is
-- there only within the transaction that rewrites what names them.
CREATE TABLE erasure (
    was     TEXT NOT NULL PRIMARY KEY,
    becomes TEXT NOT NULL
) STRICT, WITHOUT ROWID;

DROP TRIGGER snapshot_is_frozen;
CREATE TRIGGER snapshot_is_frozen
    BEFORE UPDATE ON snapshot
    WHEN NOT EXISTS (SELECT 1 FROM erasure)
      OR NEW.home IS NOT OLD.home OR NEW.n IS NOT OLD.n
      OR json_extract(NEW.document, '$.asked') IS NOT json_extract(OLD.document, '$.asked')
BEGIN
    SELECT RAISE(ABORT, 'a snapshot never changes');
END;

DROP TRIGGER vote_is_final;
CREATE TRIGGER vote_is_final
    BEFORE UPDATE ON vote
    WHEN NOT EXISTS (SELECT 1 FROM erasure WHERE was = OLD.voter AND becomes = NEW.voter)
      OR (NEW.home, NEW.n, NEW.verdict, NEW.granted, NEW.reason, NEW.shareable, NEW.seen,
          NEW.shown, NEW.version, NEW.at, NEW.authenticated)
         IS NOT
         (OLD.home, OLD.n, OLD.verdict, OLD.granted, OLD.reason, OLD.shareable, OLD.seen,
          OLD.shown, OLD.version, OLD.at, OLD.authenticated)
BEGIN
    SELECT RAISE(ABORT, 'a vote never changes');
END;

DROP TRIGGER interaction_is_final;
CREATE TRIGGER interaction_is_final
    BEFORE UPDATE ON interaction
    WHEN NOT EXISTS (SELECT 1
                       FROM erasure
                      WHERE was = json_extract(OLD.document, '$.person')
                        AND becomes = json_extract(NEW.document, '$.person'))
      OR (NEW.home, NEW.n, NEW.number) IS NOT (OLD.home, OLD.n, OLD.number)
BEGIN
    SELECT RAISE(ABORT, 'an interaction that was taken never changes');
END;

DROP TRIGGER audit_keeps_its_words;
CREATE TRIGGER audit_keeps_its_words
    BEFORE UPDATE ON audit
    WHEN NOT EXISTS (SELECT 1 FROM erasure)
      OR (NEW.home, NEW.seq, NEW.n, NEW.at, NEW.event)
         IS NOT (OLD.home, OLD.seq, OLD.n, OLD.at, OLD.event)
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;

DROP TRIGGER security_event_keeps_its_words;
CREATE TRIGGER security_event_keeps_its_words
    BEFORE UPDATE ON security_event
    WHEN NOT EXISTS (SELECT 1 FROM erasure)
      OR (NEW.seq, NEW.at, NEW.event) IS NOT (OLD.seq, OLD.at, OLD.event)
BEGIN
    SELECT RAISE(ABORT, 'the security log is append-only');
END;
