"""What the demo prints: prose, and each wire exchange, shortened, with secrets masked."""

import json
import textwrap
import threading
from typing import Final, TextIO
from urllib.parse import parse_qsl, urlsplit

import httpx2

_WIDTH: Final = 78
_LONGEST: Final = 170  # of a parameter
_SHOWN: Final = (
    "grant_type", "code", "code_verifier", "completion_mode", "authorization_details", "token",
    "deferral_code", "refresh_token", "subject_token", "subject_token_type", "requested_token_type",
    "audience", "assertion", "device_code", "scope",
)  # fmt: skip
_MASKED: Final = frozenset(
    {
        "deferral_code", "access_token", "refresh_token", "token", "client_secret", "code",
        "code_verifier", "subject_token", "assertion", "device_code", "id_token",
    }
)  # fmt: skip
# What each answer is in the draft ("DTR"; section numbers of the editors' copy) or its RFCs.
_SECTIONS: Final = {
    "authorization_pending+": "not yet: the deferred response (DTR 6.4)",
    "authorization_pending": "still not (DTR 6.6)",
    "interaction_required+": "not yet, and somebody must act first (DTR 6.4)",
    "interaction_required": "not yet: somebody must act first (DTR 6.6)",
    "slow_down": "too fast (DTR 6.6)",
    "access_denied": "no (DTR 6.6)",
    "expired_token": "too late (DTR 6.6)",
    "token": "a token, bound to the client's key (RFC 6749 5.1, RFC 9449 5)",
    "vouched": "a word for one other server (RFC 8693 2.2.1, ID-JAG)",
    "codes": "a code for the device, and one for its person (RFC 8628 3.2)",
    "unanswered": "its person has not answered yet (RFC 8628 3.5)",
    "collected": "decided: the token, once, bound to the client's key (DTR 6.5.2)",
    "withdrawn": "withdrawn (DTR 8.2)",
    "revoked": "revoked (RFC 7009 2.2)",
}


class Narrator:
    """Prints to one stream; may be used by several threads."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._last: tuple[str, ...] = ()

    def story(self, number: int, text: str) -> None:
        heading = f"Story {number}. {text}"
        self._write("", "", heading, "=" * len(heading))

    def title(self, text: str) -> None:
        self._write("", text, "=" * len(text))

    def scene(self, number: int, text: str) -> None:
        heading = f"{number}. {text}"
        self._write("", heading, "-" * len(heading))

    def say(self, text: str) -> None:
        self._write(*textwrap.wrap(" ".join(text.split()), _WIDTH))

    def show(self, *lines: str) -> None:
        """Print lines as they are, indented."""
        self._write(*(f"    {line}" for line in lines))

    def relay(self, line: str) -> None:
        """Print a line of another process's narrator as it is."""
        self._write(line)

    def by(self, who: str, text: str) -> None:
        self._write(f"  [{who}] {text}")

    def exchange(self, response: httpx2.Response) -> None:
        """Print one request of a client and its answer; a repeated poll is one line."""
        request = response.request
        if urlsplit(str(request.url)).path not in ("/token", "/revoke", "/device_authorization"):
            return
        lines = (*_request_lines(request), *_answer_lines(response))
        if lines == self._last:
            self._write("    … asked again: still not")
            return
        self._last = lines
        self._write(*lines)

    def _write(self, *lines: str) -> None:
        with self._lock:
            self._out.write("\n".join(lines) + "\n")
            self._out.flush()


def _request_lines(request: httpx2.Request) -> tuple[str, ...]:
    path = urlsplit(str(request.url)).path
    fields = dict(parse_qsl(request.content.decode()))
    shown = [f"{name}={_masked(name, fields[name])}" for name in _SHOWN if name in fields]
    head = ["Authorization: Basic (masked)"] if "authorization" in request.headers else []
    if "dpop" in request.headers:
        head.append("DPoP: (a proof by the client's key)")
    return (f"    → POST {path}", *(f"        {_cut(each)}" for each in [*head, *shown]))


def _answer_lines(response: httpx2.Response) -> tuple[str, ...]:
    body = response.json()
    members = {
        name: _masked(name, value) if isinstance(value, str) else value
        for name, value in body.items()
        if name != "error_description"
    }
    meaning = _SECTIONS.get(_meaning(response, body), "")
    text = json.dumps(members, ensure_ascii=False)
    return (
        f"    ← {response.status_code}  {meaning}",
        *(f"        {line}" for line in textwrap.wrap(text, _WIDTH - 8)),
    )


def _meaning(response: httpx2.Response, body: dict[str, object]) -> str:
    if response.status_code != 200 and b"device_code=" in response.request.content:
        return "unanswered"
    if response.status_code != 200:
        return f"{body.get('error')}{'+' if 'deferral_code' in body else ''}"
    if str(response.request.url).endswith("/revoke"):
        ends_a_token = b"token_type_hint=access_token" in response.request.content
        return "revoked" if ends_a_token else "withdrawn"
    if "user_code" in body:
        return "codes"
    if body.get("token_type") == "N_A":
        return "vouched"
    return "collected" if b"deferral_code" in response.request.content else "token"


def _masked(name: str, value: str) -> str:
    if name in _MASKED:
        return f"{value[:4]}…(masked)"
    if name == "interaction_uri":
        return f"{value.rpartition('/')[0]}/…(masked)"
    return value


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
