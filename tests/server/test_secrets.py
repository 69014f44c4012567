"""Secrets: where they rest and where they must not show (security catalogue 6)."""

import base64
import io
import logging
import pickle
from pathlib import Path
from urllib.parse import quote

import pytest

from abeyance.server import logs
from abeyance.server.http import log_fault
from abeyance.wire.secret import Secret
from tests.config import SECRET
from tests.covers import covers
from tests.served import serve


@covers(
    "SEC-STORE-01", "SEC-STORE-02", "T-222", "DTR-SEC-05", "OAUTH-SEC-02", "SEC-TM-27",
    "OAUTH-SEC-10", "SEC-STORE-06",
)  # fmt: skip
async def test_a_whole_story_leaves_no_secret_in_any_file(tmp_path: Path) -> None:
    secrets = [SECRET]
    async with serve(tmp_path) as served:
        for end in ("approve", "deny", "cancel", "wait"):
            code = await served.c1.defer(client_notification_token="n" * 21 + "OTIFY")
            secrets += [code, "n" * 21 + "OTIFY"]
            match end:
                case "approve":
                    await served.approve(code)
                    token = (await served.c1.poll(code)).json["access_token"]
                    secrets += [token, token.split(".")[2]]
                case "deny":
                    await served.deny(code)
                case "cancel":
                    await served.c1.revoke(code)
        digest = (await served.held(secrets[1])).handle.digest
        stolen = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        assert (await served.c1.poll(stolen)).error == "invalid_grant"
        proofs = [served.c1.proof("https://as.example/token"), served.c1.assertion()]
        assert found_in(tmp_path, [*secrets, *proofs]) == []


def found_in(folder: Path, secrets: list[str]) -> list[tuple[str, str]]:
    """Which secret stands in which file, in any spelling; the test's own files aside."""
    return [
        (secret[:6], file.name)
        for file in folder.rglob("*")
        if file.is_file() and file.name != "s1.secret"
        for secret in secrets
        for form in spellings(secret)
        if form in file.read_bytes()
    ]


def spellings(secret: str) -> list[bytes]:
    raw = secret.encode()
    return [
        raw,
        raw[:16],
        base64.b64encode(raw).rstrip(b"="),
        base64.urlsafe_b64encode(raw).rstrip(b"="),
        raw.hex().encode(),
        quote(secret, safe="").encode(),
    ]


@covers("SEC-STORE-05", "OAUTH-LOG-01", "OAUTH-LOG-04", "OAUTH-LOG-06", "SEC-STORE-13")
def test_a_fault_is_logged_without_what_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr("sys.stderr", out)
    before = logging.getLogger().handlers[:]
    code = "AbCdEf0123456789" * 4
    try:
        logs.configure_logs("DEBUG")
        try:
            raise ValueError(f"bad value {code}")
        except ValueError as fault:
            log_fault(fault)
            logging.getLogger("somebody.else").exception("it went wrong with %s", code)
        logging.getLogger("somebody.else").warning("line\nbreak \x1b[31m %s", code)
    finally:
        logging.getLogger().handlers[:] = before
    lines = out.getvalue()
    assert "ValueError" in lines
    assert code not in lines
    assert "\x1b" not in lines
    assert len(lines.splitlines()) == 3


@covers("SEC-STORE-13", "OAUTH-SEC-04", "OAUTH-LOG-06")
def test_a_secret_neither_shows_nor_compares_nor_pickles() -> None:
    secret = Secret("very-secret")
    assert "very" not in f"{secret} {secret!r} {[secret]}"
    with pytest.raises(TypeError):
        assert secret == Secret("very-secret")
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        hash(secret)
    assert secret.matches(Secret("very-secret").digest())


@covers("SEC-STORE-13", "OAUTH-SEC-01")
def test_no_room_makes_handles_from_weak_sources_or_compares_secrets_openly() -> None:
    source = Path(__file__).parents[2] / "src" / "abeyance"
    for file in source.rglob("*.py"):
        if file.is_relative_to(source / "client"):
            continue  # draws its jitter from `random`; its keys and identifiers are `secrets`
        text = file.read_text()
        for weak in ("import random", "uuid", "compare_digest(str"):
            assert weak not in text, f"{file.name} has {weak}"
        assert ".reveal() ==" not in text, file.name
        assert "innerHTML" not in text, file.name


@covers("OAUTH-SEC-06", "SEC-STORE-08", "SEC-OPS-04")
async def test_what_the_server_writes_is_for_its_owner_alone(tmp_path: Path) -> None:
    async with serve(tmp_path / "data") as served:
        await served.s1.defer()
        for file in (tmp_path / "data").rglob("*"):
            if file.suffix in (".secret", ".jwks", ".toml"):
                continue  # the test's own
            assert file.stat().st_mode & 0o077 == 0, file
