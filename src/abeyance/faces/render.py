"""From an answer to a reply (status, body). One serializer for all (OAUTH-PARAM-10).

Pending and refused answers differ only in their pace, so their bytes are made
once for each dialect and bound.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache

from abeyance.faces.face import Face, Words
from abeyance.pending.ending import Ending
from abeyance.pending.interaction import Invitation
from abeyance.pending.judging import Refused, StillPending
from abeyance.pending.opening import Deferred
from abeyance.pending.pacing import whole_seconds
from abeyance.wire import names
from abeyance.wire.errors import OAuthError
from abeyance.wire.reply import Reply, header, render_json
from abeyance.wire.strict_json import Json, JsonObject


def render_answer(face: Face, answer: StillPending | Refused) -> Reply:
    """Word a poll's answer."""
    if isinstance(answer, StillPending):
        return _pending(face.pending, whole_seconds(answer.bound))
    if answer.remark is not None or answer.ending is not None:
        members = ending_members(answer.ending, answer.remark)
        return Reply(400, _error_body(face.refusals[answer.why], members))
    return _refused(
        face.refusals[answer.why],
        None if answer.bound is None else whole_seconds(answer.bound),
    )


def render_interaction(face: Face, bound: timedelta, invitation: Invitation) -> Reply:
    """Somebody must act first, and here, or is about to (DTR-ERR-03, EXT-INTERACT-01)."""
    words = face.interaction
    if invitation.arrived and face.arrived is not None:
        words = face.arrived
    body = _error_body(words, _invitation_members(invitation))
    return Reply(400, body, (_retry_after(whole_seconds(bound)),))


def render_deferred(
    face: Face, deferred: Deferred, now: datetime, invitation: Invitation | None = None
) -> Reply:
    """The deferred response: the one place where the handle is shown (DTR-RESP-01 to -05).

    `invitation`: to act first.
    """
    held = deferred.held
    interval = whole_seconds(held.interval)
    members: dict[str, Json] = {
        face.parameter: deferred.code.reveal(),
        names.EXPIRES_IN: round((held.expires_at - now).total_seconds()),
        names.INTERVAL: interval,
    }
    words = face.pending
    if invitation is not None:
        words = face.interaction
        members |= _invitation_members(invitation)
    return Reply(400, _error_body(words, members), (_retry_after(interval),))


def _invitation_members(invitation: Invitation) -> JsonObject:
    members: dict[str, Json] = {names.INTERACTION_URI: invitation.uri}
    if invitation.code is not None:
        members[names.INTERACTION_CODE] = invitation.code
    if invitation.expires_in is not None:
        members[names.INTERACTION_EXPIRES_IN] = invitation.expires_in
    return members


def ending_members(ending: Ending | None, remark: str | None = None) -> JsonObject:
    """How it ended, for clients that registered the profile (EXT-OUTCOME)."""
    told: Mapping[str, Json] = {names.DEFERRAL_REMARK: remark}
    if ending is not None:
        told = {
            names.DEFERRAL_OUTCOME: ending.outcome,
            names.NEXT_ACTION: ending.next_action,
            names.RETRY_AFTER: ending.retry_after,
            **told,
        }
    return {name: value for name, value in told.items() if value is not None}


def render_success(body: JsonObject) -> Reply:
    """The originating grant's own success (DTR-OK-01)."""
    return Reply(200, render_json(body))


def note_wait(reply: Reply, seconds: int | None) -> Reply:
    """Say for how long the answer was held at most, if it was (RFC 7240 §3, EXT-WAIT-01)."""
    if seconds is None:
        return reply
    applied = header(names.HEADER_PREFERENCE_APPLIED, f"wait={seconds}")
    return Reply(reply.status, reply.body, (*reply.headers, applied))


def render_error(error: OAuthError) -> Reply:
    return Reply(
        error.status,
        _error_body(Words(error.error, error.description), error.members),
        tuple(header(name, value) for name, value in error.headers()),
    )


# Words are few, and so are bounds (interval and a multiple of five seconds).
@lru_cache(maxsize=1024)
def _pending(words: Words, bound: int) -> Reply:
    return Reply(400, _error_body(words), (_retry_after(bound),))


@lru_cache(maxsize=1024)
def _refused(words: Words, bound: int | None) -> Reply:
    return Reply(400, _error_body(words), () if bound is None else (_retry_after(bound),))


def _error_body(words: Words, members: JsonObject | None = None) -> bytes:
    return render_json(
        {names.ERROR: words.error, names.ERROR_DESCRIPTION: words.description, **(members or {})}
    )


def _retry_after(seconds: int) -> tuple[bytes, bytes]:
    return header(names.HEADER_RETRY_AFTER, str(seconds))
