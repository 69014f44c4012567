"""Is this form ours, and what may a page do (OAUTH-SESS-03, -04; SEC-UI-06, -12, -13).

A form's token is an HMAC under the cookie, over the name of the form and of what it
acts on: it fits one browser, one session, one form. The origin check stands beside
it, since a cookie may be planted where no `__Host-` prefix protects it.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request

from abeyance.server.pages.refusals import FOREIGN, Refused
from abeyance.wire.base64url import render_base64url
from abeyance.wire.secret import Secret

_SOURCE = re.compile(r"https?://[A-Za-z0-9.\-]+(?::[0-9]{1,5})?|[a-z][a-z0-9+.\-]*:", re.ASCII)


def render_policy(*, live: bool = False, leads_to: str | tuple[str, ...] = ()) -> str:
    """The policy of a page: nothing but our own, no script or style inside it.

    `live`: the page asks for news, so it must be able to ask. `leads_to`: an
    origin or scheme, or several, to which a form may lead besides, since browsers
    apply `form-action` to the redirect behind a form too. Raises `ValueError` for text
    that could say anything else.
    """
    targets = (leads_to,) if isinstance(leads_to, str) else leads_to
    if not all(map(_SOURCE.fullmatch, targets)):
        raise ValueError("neither an origin nor a scheme")
    connect = "connect-src 'self'; " if live else ""
    target = "".join(f" {each}" for each in targets)
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; {connect}img-src 'self' data:; "
        f"form-action 'self'{target}; base-uri 'none'; frame-ancestors 'none'"
    )


POLICY: Final = render_policy()
LIVE_POLICY: Final = render_policy(live=True)

# Not on the pages between a client and us: they would lose the window that opened them.
OPENER: Final = ("Cross-Origin-Opener-Policy", "same-origin")
HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Content-Security-Policy": POLICY,
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
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
