"""Requests as they go over the wire, whole: wrk sends bytes and spends no time on making them."""

import base64
import itertools
import json
import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from abeyance.proofs.client_assertion import make_assertion
from abeyance.proofs.dpop import make_proof
from abeyance.wire import names
from bench.population import ISSUER, Caller

TOKEN: Final = "/token"
REVOKE: Final = "/revoke"
DECIDE: Final = "/bench/decide"
_ASSERTION_LIFE: Final = timedelta(seconds=240)
_CODE_LENGTH: Final = 64

# Replay marks must differ between runs too, not only within one.
_JTI: Final = map("{}-{:08d}".format, itertools.repeat(secrets.token_hex(4)), itertools.count())

_PURCHASES: Final = itertools.count(1)


def first_request(caller: Caller, *, dpop: bool = False, token: str | None = None) -> bytes:
    """Ask for a payment that must wait; `token`: what a callback is to bring."""
    notified = {} if token is None else {names.CLIENT_NOTIFICATION_TOKEN: token}
    detail = {
        "type": "payment",
        "amount": {"amount": f"{100 + next(_PURCHASES) % 900}.50", "currency": "EUR"},
        "creditor": "Acme Office Supplies Ltd",
        "reason": "Invoice 2026-1174, paper and toner for the third quarter",
    }
    return _post(
        caller,
        {
            names.GRANT_TYPE: names.GRANT_CLIENT_CREDENTIALS,
            names.COMPLETION_MODE: names.COMPLETION_DEFERRED,
            names.AUTHORIZATION_DETAILS: json.dumps([detail], separators=(",", ":")),
            **notified,
        },
        dpop=dpop,
    )


def poll(caller: Caller, code: str, *, dpop: bool = False, wait: int = 0) -> bytes:
    """Ask for what waits; `wait`: for so many seconds the answer may be held."""
    return _post(
        caller,
        {names.GRANT_TYPE: names.GRANT_DEFERRED, names.DEFERRAL_CODE: code},
        dpop=dpop,
        wait=wait,
    )


def revoke(caller: Caller, code: str) -> bytes:
    """Withdraw what waits."""
    return _post(caller, {names.TOKEN: code}, path=REVOKE)


def poll_without_code(caller: Caller) -> bytes:
    """A poll but for the code, which belongs at its end."""
    return _without_code(poll(caller, "c" * _CODE_LENGTH))


def decide_without_code() -> bytes:
    """A decision but for the code, which belongs at its end (see `bench.entry`)."""
    return _without_code(_render(DECIDE, [], "c" * _CODE_LENGTH))


def write_messages(path: Path, messages: Iterable[bytes]) -> int:
    """Write messages as `turn.lua` reads them, each behind its length; return how many."""
    count = 0
    with path.open("wb") as file:
        for message in messages:
            file.write(b"%d\n%s" % (len(message), message))
            count += 1
    return count


def _without_code(message: bytes) -> bytes:
    return message[:-_CODE_LENGTH]


def _post(
    caller: Caller,
    form: dict[str, str],
    *,
    dpop: bool = False,
    path: str = TOKEN,
    wait: int = 0,
) -> bytes:
    headers: list[tuple[str, str]] = []
    now = datetime.now(UTC)
    credentials: dict[str, str] = {}
    if caller.method == names.CLIENT_SECRET_BASIC:
        pair = base64.b64encode(f"{caller.id}:{caller.secret}".encode()).decode()
        headers.append(("Authorization", f"Basic {pair}"))
    else:
        credentials = {
            names.CLIENT_ASSERTION_TYPE: names.ASSERTION_JWT_BEARER,
            names.CLIENT_ASSERTION: make_assertion(
                caller.key,
                client_id=caller.id,
                audience=ISSUER,
                now=now,
                jti=next(_JTI),
                lifetime=_ASSERTION_LIFE,
            ),
        }
    if dpop:
        proof = make_proof(caller.key, method="POST", url=ISSUER + path, now=now, jti=next(_JTI))
        headers.append(("DPoP", proof))
    if wait:
        headers.append((names.HEADER_PREFER, f"wait={wait}"))
    # The code comes last, where `cycle.lua` can add it.
    return _render(path, headers, urlencode({**credentials, **form}))


def _render(path: str, headers: Sequence[tuple[str, str]], body: str) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1:8400",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("ascii")
