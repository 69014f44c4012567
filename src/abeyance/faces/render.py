"""From an answer to a reply (status, body). One serializer for all (OAUTH-PARAM-10).

Pending and refused answers differ only in their pace, so their bytes are made
once for each dialect and bound.
"""

from datetime import datetime
from functools import lru_cache

from abeyance.faces.face import Face, Words
from abeyance.pending.judging import Refused, StillPending
from abeyance.pending.opening import Opened
from abeyance.pending.pacing import whole_seconds
from abeyance.wire import names
from abeyance.wire.errors import OAuthError
from abeyance.wire.reply import Reply, header, render_json
from abeyance.wire.strict_json import JsonObject


def render_answer(face: Face, answer: StillPending | Refused) -> Reply:
    """Word a poll's answer."""
    if isinstance(answer, StillPending):
        return _pending(face.pending, whole_seconds(answer.bound))
    if answer.remark is not None:
        words = face.refusals[answer.why]
        return Reply(400, _error_body(words, {names.DEFERRAL_REMARK: answer.remark}))
    return _refused(
        face.refusals[answer.why],
        None if answer.bound is None else whole_seconds(answer.bound),
    )


def render_opened(face: Face, opened: Opened, now: datetime) -> Reply:
    """The deferred response: the one place where the handle is shown (DTR-RESP-01 to -05)."""
    held = opened.held
    interval = whole_seconds(held.interval)
    members: JsonObject = {
        face.parameter: opened.code.reveal(),
        names.EXPIRES_IN: round((held.expires_at - now).total_seconds()),
        names.INTERVAL: interval,
    }
    return Reply(400, _error_body(face.pending, members), (_retry_after(interval),))


def render_success(body: JsonObject) -> Reply:
    """The originating grant's own success (DTR-OK-01)."""
    return Reply(200, render_json(body))


def render_error(error: OAuthError) -> Reply:
    return Reply(
        error.status,
        _error_body(Words(error.error, error.description)),
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
