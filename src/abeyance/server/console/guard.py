"""Is this form ours, and what may a page do (OAUTH-SESS-03, -04; SEC-UI-06, -12, -13).

A form's token is an HMAC under the cookie, over the name of the form and of what it
acts on: it fits one browser, one session, one form. The origin check stands beside
it, since a cookie may be planted where no `__Host-` prefix protects it.
"""

import hashlib
import hmac
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request

from abeyance.server.console.refusals import FOREIGN, Refused
from abeyance.wire.base64url import render_base64url
from abeyance.wire.secret import Secret

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# The pages that update themselves must be able to ask; nothing else changes.
LIVE_POLICY: Final = POLICY.replace("img-src", "connect-src 'self'; img-src", 1)

HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Content-Security-Policy": POLICY,
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "X-Content-Type-Options": "nosniff",
    }
)


def mint_token(cookie: Secret, form: str) -> str:
    """The token of a form; `form` names it and what it acts on."""
    key = cookie.reveal().encode()
    return render_base64url(hmac.digest(key, b"form:" + form.encode(), hashlib.sha256))


def check_token(cookie: Secret, form: str, sent: str | None) -> None:
    """Raise `Refused` unless the token is that of this browser and this form."""
    expected = mint_token(cookie, form).encode()
    if not hmac.compare_digest(expected, (sent or "").encode("utf-8", "surrogatepass")):
        raise Refused(FOREIGN)


def check_origin(request: Request, issuer: str) -> None:
    """Raise `Refused` unless a page of ours sent this.

    Under `no-referrer` browsers send `Origin: null` with our own forms, so
    `Sec-Fetch-Site` speaks first where it exists; a form that tells neither is refused.
    """
    sites = request.headers.getlist("sec-fetch-site")
    if sites:
        if sites != ["same-origin"]:
            raise Refused(FOREIGN)
        return
    parts = urlsplit(issuer)
    if request.headers.getlist("origin") != [f"{parts.scheme}://{parts.netloc}"]:
        raise Refused(FOREIGN)
