"""Logs: lines on standard error, UTC, one event a line (OAUTH-LOG-01 to -06); JSON, or text for
people, in which values are spelt as in Python, so that nothing moves a terminal (OAUTH-LOG-04).

The first line of defence is that no secret is handed to a logger. The filter
here is the second: whatever looks like a handle, a token or a credential is
masked, whichever library wrote it.
"""

import logging
import re
import sys
from typing import Any, Final

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from abeyance.server.http import CURRENT, TRACE_ID, request_id

_MASK: Final = "[masked]"
# Our handles and digests have 43 characters or more; JWTs have dots between parts.
_SECRET_LIKE = re.compile(r"[A-Za-z0-9_\-+/]{40,}={0,2}|eyJ[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-.]*")
_MAX_LENGTH: Final = 2_000


def configure_logs(level: str = "INFO", form: str = "json") -> None:
    """Send our own events and those of every library through one pipeline; `form`: json or text."""
    renderer: Processor = structlog.processors.JSONRenderer()
    if form == "text":
        renderer = structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"])
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_request,
        mask,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _drop_traceback,
                mask,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # The access log of the ASGI server would print queries (OAUTH-LOG-02).
    logging.getLogger("uvicorn.access").disabled = True
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask what looks like a secret, and cut what is long."""
    return {name: _masked(value) for name, value in event.items()}


def _name_request(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The X-Request-ID of the answer to the request in which it happened."""
    scope = CURRENT.get()
    if scope is not None:
        event["request_id"] = request_id(scope).decode()
        if TRACE_ID in scope:
            event["trace_id"] = scope[TRACE_ID]
    return event


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return _SECRET_LIKE.sub(_MASK, value[:_MAX_LENGTH])
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    if isinstance(value, dict):
        return {_masked(name): _masked(item) for name, item in value.items()}
    return value


def _drop_traceback(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # A traceback's last line is the exception's text, which may hold what was sent.
    fault = event.pop("exc_info", None)
    if isinstance(fault, tuple) and fault[0] is not None:
        event["fault"] = fault[0].__name__
    event.pop("stack_info", None)
    return event
