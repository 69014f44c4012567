-- What is kept only so long: where disposal finds it, and what it may delete.

-- Disposal takes the details of a request first, and the request itself later: what is left in
-- between answers late polls, and is in no list.
ALTER TABLE request ADD COLUMN disposed BIGINT NOT NULL DEFAULT 0 CHECK (disposed IN (0, 1));

CREATE INDEX request_by_end ON request (disposed, expires_at);

-- The greatest number that a request of this home has had which is gone: none is given twice.
ALTER TABLE user_grant ADD COLUMN past_n BIGINT NOT NULL DEFAULT 0;

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
    log    TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (log IN ('audit', 'security_event')),
    before BIGINT NOT NULL
);

CREATE FUNCTION abeyance_keep_log() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF OLD.at > coalesce((SELECT before FROM disposal WHERE log = TG_TABLE_NAME), -1) THEN
        RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN OLD;
END
$$;

DROP TRIGGER audit_keeps_its_rows ON audit;
CREATE TRIGGER audit_keeps_its_rows
    BEFORE DELETE ON audit
    FOR EACH ROW
    EXECUTE FUNCTION abeyance_keep_log('the audit is append-only');

DROP TRIGGER security_event_keeps_its_rows ON security_event;
CREATE TRIGGER security_event_keeps_its_rows
    BEFORE DELETE ON security_event
    FOR EACH ROW
    EXECUTE FUNCTION abeyance_keep_log('the security log is append-only');

-- Who is being erased, and what stands for them from then on. Never seen from outside: a row is
-- there only within the transaction that rewrites what names them.
CREATE TABLE erasure (
    was     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    becomes TEXT COLLATE "C" NOT NULL
);

CREATE FUNCTION abeyance_keep_snapshot() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM erasure)
       OR (NEW.home, NEW.n) IS DISTINCT FROM (OLD.home, OLD.n)
       OR (NEW.document::json -> 'asked')::text
          IS DISTINCT FROM (OLD.document::json -> 'asked')::text
    THEN
        RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$;

DROP TRIGGER snapshot_is_frozen ON snapshot;
CREATE TRIGGER snapshot_is_frozen
    BEFORE UPDATE ON snapshot
    FOR EACH ROW
    EXECUTE FUNCTION abeyance_keep_snapshot('a snapshot never changes');

CREATE FUNCTION abeyance_keep_vote() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM erasure WHERE was = OLD.voter AND becomes = NEW.voter)
       OR (NEW.home, NEW.n, NEW.verdict, NEW.granted, NEW.reason, NEW.shareable, NEW.seen,
           NEW.shown, NEW.version, NEW.at, NEW.authenticated)
          IS DISTINCT FROM
          (OLD.home, OLD.n, OLD.verdict, OLD.granted, OLD.reason, OLD.shareable, OLD.seen,
           OLD.shown, OLD.version, OLD.at, OLD.authenticated)
    THEN
        RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$;

DROP TRIGGER vote_is_final ON vote;
CREATE TRIGGER vote_is_final
    BEFORE UPDATE ON vote
    FOR EACH ROW
    EXECUTE FUNCTION abeyance_keep_vote('a vote never changes');

CREATE FUNCTION abeyance_keep_interaction() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF NOT EXISTS (SELECT 1
                     FROM erasure
                    WHERE was = OLD.document::json ->> 'person'
                      AND becomes = NEW.document::json ->> 'person')
       OR (NEW.home, NEW.n, NEW.number) IS DISTINCT FROM (OLD.home, OLD.n, OLD.number)
    THEN
        RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$;

DROP TRIGGER interaction_is_final ON interaction;
CREATE TRIGGER interaction_is_final
    BEFORE UPDATE ON interaction
    FOR EACH ROW
    EXECUTE FUNCTION abeyance_keep_interaction('an interaction that was taken never changes');

CREATE FUNCTION abeyance_keep_audit() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM erasure)
       OR (NEW.home, NEW.seq, NEW.n, NEW.at, NEW.event)
          IS DISTINCT FROM (OLD.home, OLD.seq, OLD.n, OLD.at, OLD.event)
    THEN
        RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$;

DROP TRIGGER audit_keeps_its_words ON audit;
CREATE TRIGGER audit_keeps_its_words
    BEFORE UPDATE ON audit
    FOR EACH ROW
    EXECUTE FUNCTION abeyance_keep_audit('the audit is append-only');

CREATE FUNCTION abeyance_keep_security_event() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM erasure)
       OR (NEW.seq, NEW.at, NEW.event) IS DISTINCT FROM (OLD.seq, OLD.at, OLD.event)
    THEN
        RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$;

DROP TRIGGER security_event_keeps_its_words ON security_event;
CREATE TRIGGER security_event_keeps_its_words
    BEFORE UPDATE ON security_event
    FOR EACH ROW
    EXECUTE FUNCTION abeyance_keep_security_event('the security log is append-only');
