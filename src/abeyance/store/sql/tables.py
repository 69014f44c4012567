"""The tables of a store: one list, for whatever goes over all of them."""

from typing import Final

# What goes with a store wherever it goes: whatever others name comes before them.
CONTENT: Final = (
    "client",
    "registration",
    "initial_token",
    "person",
    "session",
    "invitation",
    "consent",
    "request",
    "snapshot",
    "inbox",
    "vote",
    "interaction",
    "sealed",
    "outbox",
    "repetition",
    "concern",
    "user_grant",
    "code",
    "family",
    "refresh_token",
    "assertion",
    "derived",
    "device",
    "token",
    "reservation",
    "standing_approval",
    "refusal",
    "authorization_request",
    "pushed_request",
    "challenge_session",
    "call",
    "audit",
    "security_event",
    "disposal",
)

# What belongs to one place: its version and marks, writes that mean nothing, what is only there
# within a transaction; and what processes on one database share, which costs a retry if lost.
OF_THE_PLACE: Final = frozenset(
    {"schema_version", "mark", "lease", "pulse", "erasure", "used_proof", "poll_credit"}
)
