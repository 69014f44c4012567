-- Where disposal finds the approvals that are over. Additive.
-- runs with programs of schema 11

CREATE INDEX standing_approval_by_end ON standing_approval (until);
