"""`abeyance token`: what is printed where, exit codes, and a wait that is broken off."""

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from abeyance.cli import app
from abeyance.cli.app import INTERRUPTED, NO, OK
from abeyance.cli.calls import BadCall
from abeyance.cli.token import draw_qr, token
from abeyance.cli.waiting import WAITING
from abeyance.client import Authentication, Client, ClientCertificate, generate_key
from abeyance.client.keys import render_private_pem
from abeyance.client.private_file import create_private
from abeyance.proofs.jwk import KeyPair, parse_private_pem
from abeyance.wire.base64url import render_base64url
from tests.certificates import make_certificate
from tests.client.fakes import (
    ACCESS_TOKEN,
    CLIENT_ID,
    CLIENT_SECRET,
    CODE,
    ISSUER,
    FakeServer,
    FakeTime,
    answer,
    deferred,
    error,
    granted,
    pending,
)
from tests.client.test_loopback import visitor
from tests.covers import covers
from tests.tls import write_pem


class Shell:
    """Runs the command against the fake server; `argv` is what would be typed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.server = FakeServer(FakeTime())
        self._capsys = capsys
        self.out = self.err = ""

    def connect(
        self,
        issuer: str,
        client_id: str,
        authentication: Authentication,
        *,
        dpop_key: KeyPair | None,
        certificate: ClientCertificate | None,
    ) -> Client:
        return Client(
            issuer,
            client_id,
            authentication,
            dpop_key=dpop_key,
            certificate=certificate,
            http=httpx2.Client(transport=httpx2.MockTransport(self.server)),
            surroundings=self.server.time.surroundings(),
            sleep=self.server.time.sleep,
        )

    def run(self, **arguments: Any) -> int:
        given: dict[str, Any] = {"issuer": ISSUER, "client_id": CLIENT_ID} | arguments
        try:
            return token(connect=self.connect, **given)
        finally:
            self.out, self.err = self._capsys.readouterr()

    @property
    def told(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.out)
        return value


@pytest.fixture
def shell(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Shell:
    monkeypatch.setenv("ABEYANCE_CLIENT_SECRET", CLIENT_SECRET)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state-home"))
    monkeypatch.delenv("ABEYANCE_CLIENT_SECRET_FILE", raising=False)
    return Shell(capsys)


def interrupt(_seconds: float) -> None:
    raise KeyboardInterrupt


def test_the_token_alone_is_on_standard_output(shell: Shell) -> None:
    shell.server.says(deferred(), pending(error_description="step=in_review"), granted())
    assert shell.run(dpop=False, output="token", scope="a b") == OK
    assert shell.out == ACCESS_TOKEN + "\n"
    assert "Not yet: pending (step=in_review), expires at " in shell.err


def test_json_tells_what_was_granted_and_what_is_missing(shell: Shell) -> None:
    shell.server.says(granted("DPoP", scope="a"))
    assert shell.run(scope="a b", authorization_details='{"type": "x"}') == OK
    told = shell.told
    assert told["access_token"] == ACCESS_TOKEN
    assert told["scope"] == "a"
    assert told["missing"] == {"scope": "b", "authorization_details": []}
    assert told["authorization_details"] == [{"type": "x"}]
    key = parse_private_pem(told["dpop_key"].encode())
    assert key.public.jwk["x"] == shell.server.token_requests[0].proof_key["x"]
    assert shell.err == ""


def test_a_key_file_is_made_once_and_then_used(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "dpop.pem"
    shell.server.says(granted("DPoP"), granted("DPoP"))
    assert shell.run(dpop_key=path, output="token") == OK
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert shell.run(dpop_key=path) == OK
    assert "dpop_key" not in shell.told
    first, second = shell.server.token_requests
    assert first.proof_key == second.proof_key


@pytest.mark.parametrize(
    ("code", "text"),
    [("access_denied", "denied"), ("expired_token", "expired"), ("invalid_scope", "invalid_scope")],
)
def test_a_no_is_exit_code_one(shell: Shell, code: str, text: str) -> None:
    shell.server.says(deferred(), error(code, deferral_remark="ask \x1b[31mAda", scope="x"))
    assert shell.run(dpop=False) == NO
    assert shell.out == ""
    assert text in shell.err
    assert "\x1b" not in shell.err


def test_the_reviewers_remark_is_quoted(shell: Shell) -> None:
    shell.server.says(deferred(), error("access_denied", deferral_remark="Too much"))
    assert shell.run(dpop=False) == NO
    assert 'The reviewer writes: "Too much"' in shell.err


@covers("T-236")
def test_after_a_time_out_the_same_command_goes_on(shell: Shell, tmp_path: Path) -> None:
    state = tmp_path / "agent.pending"
    shell.server.says(deferred())
    assert shell.run(state=state, timeout=12) == WAITING
    assert f"--state {state}" in shell.err
    assert CLIENT_SECRET not in shell.err
    firsts = len(shell.server.token_requests) - len(shell.server.polls)
    shell.server.says(granted("DPoP"))
    assert shell.run(state=state) == OK
    assert len(shell.server.token_requests) - len(shell.server.polls) == firsts
    # The key is the saved request's, not the one that this run would have made.
    key = parse_private_pem(shell.told["dpop_key"].encode())
    assert key.public.jwk["x"] == shell.server.token_requests[0].proof_key["x"]
    assert list(tmp_path.iterdir()) == []


@covers("T-236")
def test_an_interrupt_keeps_the_request_even_without_a_file_named(
    shell: Shell, tmp_path: Path
) -> None:
    shell.server.says(deferred())
    shell.server.time.on_sleep = interrupt
    assert shell.run() == INTERRUPTED
    (state,) = (
        path for path in (tmp_path / "state-home/abeyance/pending").iterdir() if not path.suffix
    )
    assert f"--state {state}" in shell.err
    assert CODE.encode() not in state.read_bytes()
    assert stat.S_IMODE(state.parent.stat().st_mode) == 0o700
    shell.server.time.on_sleep = None
    shell.server.says(granted("DPoP"))
    assert shell.run(state=state) == OK


def test_an_interrupt_can_cancel(shell: Shell, tmp_path: Path) -> None:
    shell.server.says(deferred(), deferred())
    shell.server.time.on_sleep = interrupt
    assert shell.run(cancel_on_interrupt=True, state=tmp_path / "state") == INTERRUPTED
    assert "was cancelled" in shell.err
    assert len(shell.server.revocations) == 1
    assert list(tmp_path.iterdir()) == []
    del shell.server.metadata["revocation_endpoint"]
    assert shell.run(cancel_on_interrupt=True) == INTERRUPTED
    assert "stays open" in shell.err


def test_quiet_tells_nothing_of_the_wait(shell: Shell) -> None:
    shell.server.says(deferred(), pending(), granted("DPoP"))
    assert shell.run(quiet=True) == OK
    assert shell.err == ""


def test_a_secret_comes_from_a_file(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_text("from-the-file\n")
    shell.server.says(granted(), granted(), granted())
    shell.run(dpop=False, client_secret_file=file, secret_in_body=True)
    monkeypatch.setenv("ABEYANCE_CLIENT_SECRET_FILE", str(file))
    shell.run(dpop=False, secret_in_body=True)
    assert [sent["client_secret"] for sent in shell.server.token_requests] == ["from-the-file"] * 2


@pytest.mark.parametrize("form", ["pem", "jwk"])
def test_a_private_key_authenticates(shell: Shell, tmp_path: Path, form: str) -> None:
    key = generate_key()
    content = render_private_pem(key)
    if form == "jwk":
        number = key.material.private_numbers().private_value  # type: ignore[union-attr]
        jwk = dict(key.public.jwk) | {"d": render_base64url(number.to_bytes(32, "big"))}
        content = json.dumps(jwk).encode()
    file = tmp_path / "key"
    create_private(file, content)
    shell.server.says(granted())
    assert shell.run(dpop=False, private_key=file) == OK
    assert "client_assertion" in shell.server.token_requests[0].names


@pytest.mark.parametrize(
    "arguments",
    [
        {"output": "token"},
        {"dpop": False, "dpop_key": Path("x")},
        {"issuer": "http://as.test"},
        {"client_secret_file": Path("missing")},
        {"private_key": Path("missing")},
        {"private_key": Path("missing"), "secret_in_body": True},
        {"authorization_details": "{"},
        {"authorization_details": '"text"'},
        {"authorization_details": "@missing"},
        {"timeout": -1.0},
        {"timeout": float("nan")},
        {"dpop_key": Path("missing/folder/key")},
    ],
)
def test_a_wrong_call_sends_nothing(
    shell: Shell, arguments: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadCall) as wrong:
        shell.run(**arguments)
    assert wrong.value.fix
    assert shell.server.seen == []


def test_without_credentials_there_is_no_call(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ABEYANCE_CLIENT_SECRET")
    with pytest.raises(BadCall, match="ABEYANCE_CLIENT_SECRET"):
        shell.run()


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_a_private_key_that_others_can_read_is_refused(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    create_private(file, render_private_pem(generate_key()))
    file.chmod(0o644)
    with pytest.raises(BadCall, match="private"):
        shell.run(private_key=file)


@covers("T-237")
def test_a_state_of_another_issuer_is_a_wrong_call(shell: Shell, tmp_path: Path) -> None:
    state = tmp_path / "state"
    shell.server.says(deferred())
    assert shell.run(state=state, timeout=0.0) == WAITING
    sent = len(shell.server.seen)
    with pytest.raises(BadCall, match="another issuer"):
        shell.run(state=state, issuer="https://other.test")
    with pytest.raises(BadCall, match="bound to a key"):
        shell.run(state=state, dpop=False)
    assert len(shell.server.seen) == sent


def test_there_is_no_way_to_put_a_secret_on_the_command_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert app.run(["token", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--client-secret-file" in shown
    assert "--client-secret " not in shown
    assert "--connect" not in shown


def test_a_call_without_its_arguments_is_exit_code_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["token"]) == 2
    assert "--issuer" in capsys.readouterr().err


# --- for a person, and kept


def test_with_flow_code_a_browser_is_opened_and_the_address_told(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.server.metadata |= {"authorization_endpoint": f"{ISSUER}/authorize"}
    shell.server.says(granted("DPoP"))
    opened: list[str] = []
    agree = visitor()

    def open_browser(url: str) -> None:
        opened.append(url)
        agree(url)

    monkeypatch.setattr("webbrowser.open", open_browser)
    assert shell.run(flow="code", public=True, scope="read") == OK
    assert shell.told["access_token"] == ACCESS_TOKEN
    [sent] = shell.server.token_requests
    assert (sent["grant_type"], sent["client_id"]) == ("authorization_code", CLIENT_ID)
    assert opened[0] in shell.err
    assert sent["code_verifier"] not in shell.err


@covers("DEV-SEC-02", "DEV-POLL-01")
def test_with_flow_device_the_code_to_type_is_told_and_no_other(shell: Shell) -> None:
    shell.server.metadata["device_authorization_endpoint"] = f"{ISSUER}/device_authorization"
    page = f"{ISSUER}/device"
    told = {"device_code": "hidden", "user_code": "WDJB-MJHT", "verification_uri": page}
    told["verification_uri_complete"] = f"{page}?user_code=WDJB-MJHT"
    shell.server.documents["/device_authorization"] = answer(told | {"expires_in": 600}, status=200)
    shell.server.says(error("authorization_pending"), granted("DPoP"))
    assert shell.run(flow="device", public=True, scope="read") == OK
    assert shell.told["access_token"] == ACCESS_TOKEN
    assert page in shell.err
    assert told["verification_uri_complete"] in shell.err
    assert "hidden" not in shell.err


@covers("DEV-QR-01")
def test_a_terminal_gets_a_qr_code_of_the_complete_address_and_of_nothing_else(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.server.metadata["device_authorization_endpoint"] = f"{ISSUER}/device_authorization"
    complete = f"{ISSUER}/device?user_code=WDJB-MJHT"
    told = {
        "device_code": "hidden",
        "user_code": "WDJB-MJHT",
        "verification_uri_complete": complete,
    }
    shell.server.documents["/device_authorization"] = answer(
        told | {"verification_uri": f"{ISSUER}/device", "expires_in": 600}, status=200
    )
    segno = pytest.importorskip("segno")
    drawn: list[str] = []
    make = segno.make_qr

    def make_qr(content: str, **how: Any) -> Any:
        drawn.append(content)
        return make(content, **how)

    monkeypatch.setattr("segno.make_qr", make_qr)
    shell.server.says(granted("DPoP"))
    assert shell.run(flow="device", public=True, scope="read") == OK
    assert drawn == [], "not where nobody looks"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    shell.server.says(granted("DPoP"))
    assert shell.run(flow="device", public=True, scope="read") == OK
    assert drawn == [complete]
    assert "\u2588" in shell.err
    assert "WDJB-MJHT" in shell.err


def test_without_the_extra_there_is_no_qr_code_and_no_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "segno", None)
    assert draw_qr("https://as.example/device") is None


def test_a_kept_token_is_given_again_and_refreshed(shell: Shell, tmp_path: Path) -> None:
    keep = tmp_path / "grant"
    shell.server.says(granted(refresh_token="r1"), granted(refresh_token="r2"))
    assert shell.run(keep=keep, dpop=False) == OK
    assert shell.run(keep=keep, dpop=False) == OK
    assert len(shell.server.token_requests) == 1
    shell.server.time.pass_(300)
    assert shell.run(keep=keep, dpop=False) == OK
    assert shell.server.token_requests[-1]["refresh_token"] == "r1"
    assert shell.told["refresh_token"] == "r2"


def test_a_kept_request_that_waits_is_gone_on_with(shell: Shell, tmp_path: Path) -> None:
    keep = tmp_path / "grant"
    shell.server.says(deferred())
    assert shell.run(keep=keep, dpop=False, timeout=1) == WAITING
    assert "the same command goes on" in shell.err
    shell.server.says(granted())
    assert shell.run(keep=keep, dpop=False) == OK
    assert [sent.is_poll for sent in shell.server.token_requests] == [False, True]


@covers("DTR-IURI-04")
def test_where_somebody_must_act_is_told_once(shell: Shell) -> None:
    uri = f"{ISSUER}/interact/x"
    required = error("interaction_required", interaction_uri=uri)
    shell.server.says(deferred(), required, required, granted())
    assert shell.run(dpop=False) == OK
    assert shell.err.count(uri) == 1


@pytest.mark.parametrize(
    "given",
    [
        {"public": True, "client_secret_file": Path("x")},
        {"keep": Path("a"), "state": Path("b")},
    ],
)
def test_what_excludes_each_other_is_a_wrong_call(shell: Shell, given: dict[str, Any]) -> None:
    with pytest.raises(BadCall):
        shell.run(**given)
    assert shell.server.seen == []


@covers("OAUTH-CAUTH-19", "OAUTH-CAUTH-20")
def test_a_certificate_authenticates_unless_something_else_does(
    shell: Shell, tmp_path: Path
) -> None:
    chain, key = write_pem(make_certificate(), tmp_path, "mine")
    named = {"certificate": chain, "certificate_key": key, "dpop": False}
    secret = tmp_path / "secret"
    secret.write_text(CLIENT_SECRET)
    shell.server.says(granted(), granted(), granted())
    # What lies in the environment does not count against what was named.
    assert shell.run(**named) == OK
    assert shell.run(**named, defer=False, public=True) == OK
    assert shell.run(**named, client_secret_file=secret) == OK
    by_certificate, public, by_secret = shell.server.token_requests
    assert by_certificate["client_id"] == public["client_id"] == CLIENT_ID
    assert "authorization" not in {*by_certificate.headers, *public.headers}
    assert "authorization" in by_secret.headers


def test_a_wait_with_a_certificate_is_taken_up_with_it(shell: Shell, tmp_path: Path) -> None:
    chain, key = write_pem(make_certificate(), tmp_path, "mine")
    shell.server.says(deferred())
    shell.server.time.on_sleep = interrupt
    shell.run(certificate=chain, certificate_key=key, dpop=False)
    assert f"--certificate {chain} --certificate-key {key}" in " ".join(shell.err.split())


def test_a_certificate_that_cannot_be_shown_is_told(shell: Shell, tmp_path: Path) -> None:
    chain, key = write_pem(make_certificate(), tmp_path, "mine")
    _, other = write_pem(make_certificate(), tmp_path, "other")
    for named, argument in (
        ({"certificate_key": key}, "--certificate-key"),
        ({"certificate": chain, "certificate_key": other}, "--certificate"),
        ({"certificate": key}, "--certificate"),
        ({"certificate": chain}, "--certificate"),
        ({"certificate": tmp_path / "absent", "certificate_key": key}, "--certificate"),
        ({"certificate": chain, "certificate_key": tmp_path / "absent"}, "--certificate-key"),
    ):
        with pytest.raises(BadCall) as refused:
            shell.run(**named)
        assert str(refused.value).startswith(f"{argument}: ")
    key.chmod(0o644)
    with pytest.raises(BadCall, match="only you can read"):
        shell.run(certificate=chain, certificate_key=key)
    assert shell.server.seen == []
