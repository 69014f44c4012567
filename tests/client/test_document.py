"""The examples of `docs/client.md`, run in their order against a fake server."""

import inspect
import json
import re
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

import abeyance.client
from abeyance.cli.token import token as token_command
from abeyance.client import Client, Token
from abeyance.proofs.id_token import sign_id_token
from abeyance.proofs.jwk import KeySet, render_jwks
from abeyance.wire.secret import Secret
from tests.certificates import make_certificate
from tests.client.fakes import FakeServer, FakeTime, Seen, answer, deferred, pending
from tests.served import make_key
from tests.tls import write_pem

PAGE: Final = (Path(__file__).parents[2] / "docs" / "client.md").read_text("utf-8")
ISSUER: Final = "https://as.example"
KEY: Final = make_key()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def granted(seen: Seen) -> httpx2.Response:
    """As bound as the request was, with all that the examples ask for."""
    kind = "DPoP" if "dpop" in seen.headers else "Bearer"
    body = {"access_token": "a1", "token_type": kind, "expires_in": 300, "refresh_token": "r1"}
    return answer(body | {"scope": "payments:write accounts:read"}, status=200)(seen)


class Person:
    """Agrees to everything; the answer goes to the redirect URI."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names

    def comes_back(self, url: str) -> str:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        told = urlencode({"code": "c0de", "state": asked["state"], "iss": ISSUER})
        return f"{asked['redirect_uri']}?{told}"

    def at_a_web_application(self, url: str) -> None:
        self.names["url_of_this_request"] = self.comes_back(url)

    def identified(self, seen: Seen) -> httpx2.Response:
        """As `granted`, and an ID token for the client that sent somebody here."""
        request, link = self.names["request"], self.names["client"].link
        now = int(link.surroundings.now().timestamp())
        claims = {
            "iss": ISSUER,
            "sub": "uma",
            "aud": link.client_id,
            "iat": now,
            "exp": now + 300,
            "nonce": request.nonce.reveal(),
        }
        body = json.loads(granted(seen).content) | {"id_token": sign_id_token(claims, KEY)}
        return answer(body, status=200)(seen)


def test_the_examples_do_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    time = FakeTime()
    server = FakeServer(time)
    server.metadata |= {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token"}
    server.metadata |= {
        "authorization_endpoint": f"{ISSUER}/authorize",
        "device_authorization_endpoint": f"{ISSUER}/device_authorization",
        "jwks_uri": f"{ISSUER}/jwks",
        "userinfo_endpoint": f"{ISSUER}/userinfo",
    }
    server.says(deferred(), pending())
    server.forever = granted
    called: list[httpx2.Request] = []

    def resource(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/.well-known/oauth-protected-resource/payments":
            told = {"resource": "https://api.example/payments", "authorization_servers": [ISSUER]}
            return httpx2.Response(200, json=told | {"scopes_supported": ["payments:write"]})
        called.append(request)
        return httpx2.Response(200)

    names: dict[str, Any] = {
        name: getattr(abeyance.client, name) for name in abeyance.client.__all__
    }
    person = Person(names)
    chain, key = write_pem(make_certificate(), tmp_path, "agent")
    assert (chain.name, key.name) == ("agent.pem", "agent.key")

    # The listener has its own tests: here the person comes back without one.
    def come_back(_loopback: object, _timeout: float, _accept: object) -> str:
        return opened.pop()

    opened: list[str] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("abeyance.client.sync_client.Loopback.wait", come_back)
    defaults = Client.authorize_in_browser.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "open_browser", lambda url: opened.append(person.comes_back(url)))
    connected = partial(
        Client,
        http=httpx2.Client(transport=httpx2.MockTransport(server)),
        surroundings=time.surroundings(),
        sleep=time.sleep,
    )
    monkeypatch.setattr(abeyance.client, "Client", connected)
    monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", lambda _self, r: resource(r))
    names |= {
        "Client": connected,
        "httpx2": httpx2,
        "secret": "s3cret",
        "key": KEY,
        "session": {},
        "redirect_to": person.at_a_web_application,
    }
    code = blocks("python")
    assert len(code) == 10
    for n, block in enumerate(code):
        if "use_assertion" in block:
            names |= {
                "at_home": names["client"],
                "there": names["client"],
                "ours": names["answer"],
                "theirs": Secret("theirs"),
                "refresh_token": Secret("r1"),
            }
        if "device_request" in block:
            told = {"device_code": "d1", "user_code": "WDJB-MJHT", "expires_in": 600}
            server.documents["/device_authorization"] = answer(
                told | {"verification_uri": f"{ISSUER}/device"}, status=200
            )
        if "identify" in block:
            names["find_account"] = lambda *who: who
            server.says(person.identified)
            server.documents["/jwks"] = answer(render_jwks(KeySet((KEY.public,))), status=200)
            server.documents["/userinfo"] = answer({"sub": "uma", "email": "u@x"}, status=200)
        exec(compile(block, f"docs/client.md, example {n + 1}", "exec"), names)
        if n < 4:
            assert isinstance(names["answer"], Token), n
    assert "pending" in capsys.readouterr().out
    assert isinstance(names["token"], Token)
    assert (names["account"], names["email"]) == ((ISSUER, "uma"), "u@x")
    assert len(server.polls) == 2
    assert [request.url.path for request in called] == ["/accounts"]
    assert called[0].headers["authorization"] == "DPoP a1"
    assert (tmp_path / "tool.grant").exists()
    assert not (tmp_path / "agent.pending").exists()


def test_the_commands_have_only_options_that_there_are() -> None:
    known = {name.replace("_", "-") for name in inspect.signature(token_command).parameters}
    [commands] = blocks("sh")
    told = set(re.findall(r"--([a-z-]+)", commands))
    assert told
    assert told <= known
