"""A request that outlives its process (T-226, T-236, T-237, T-250)."""

import os
import stat
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from abeyance.client import (
    AccessDenied,
    ClientSecretBasic,
    Expired,
    ForeignState,
    InvalidGrant,
    KeyFile,
    Passphrase,
    Seal,
    SealingKey,
    ServerMetadata,
    ServerRefused,
    StateUnreadable,
    Waiting,
    generate_key,
)
from abeyance.client.keys import render_private_pem
from abeyance.client.private_file import Exposed, read_private
from abeyance.proofs.jwk import KeyPair
from abeyance.wire.secret import Secret
from tests.client.fakes import (
    CLIENT_SECRET,
    CODE,
    Kit,
    Seen,
    answer,
    error,
    granted,
    pending,
    slow_down,
)
from tests.covers import covers


class Killed(BaseException):
    """The process dies here: nothing of ours may catch it."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.pending"


@covers("T-236", "CM-09")
@pytest.mark.parametrize("other_key", [None, generate_key()])
def test_another_process_goes_on_with_the_same_code_key_and_endpoint(
    kit: Kit, path: Path, other_key: KeyPair | None
) -> None:
    key = generate_key()
    details = [{"type": "payment", "amount": "5.00"}]
    held = kit.defer(
        client=kit.client(dpop_key=key),
        scope="a b",
        authorization_details=details,
        on_partial="reject",
        interval=7,
        expires_in=600,
    )
    held.save(path)
    kit.time.pass_(60)
    firsts = len(kit.server.token_requests) - len(kit.server.polls)

    moved = ServerMetadata(issuer="https://as.test", token_endpoint="https://as.test/elsewhere")
    again = kit.resume(path, client=kit.client(moved, dpop_key=other_key))
    kit.server.says(pending(), granted("DPoP"))
    began = kit.time.ticks
    token = again.wait()

    assert len(kit.server.token_requests) - len(kit.server.polls) == firsts
    assert {poll["deferral_code"] for poll in kit.server.polls} == {CODE}
    assert {poll.proof_key["x"] for poll in kit.server.polls} == {key.public.jwk["x"]}
    assert token.dpop_key is not None
    assert token.dpop_key.public.jkt == key.public.jkt
    assert token.requested.scope == ("a", "b")
    assert token.requested.authorization_details == ({"type": "payment", "amount": "5.00"},)
    assert again.inner.expires_at == held.inner.expires_at
    # The other process may have polled just now, so the first poll waits its turn.
    assert kit.server.polls[0].tick - began == 7
    assert kit.server.gaps() == [7]


@covers("T-236")
@pytest.mark.parametrize("step", range(7))
def test_a_process_may_be_killed_at_any_step(kit: Kit, path: Path, step: int) -> None:
    """Steps: 0 and on, kill in the n-th sleep or while the n-th poll is under way."""
    held = kit.defer(client=kit.client(dpop_key=generate_key()))
    held.save(path)
    countdown = iter([False] * step + [True])

    def die(*_: object) -> None:
        if next(countdown):
            raise Killed

    def dying(seen: Seen) -> httpx2.Response:
        die()
        return httpx2.Response(400, json={"error": "authorization_pending"})

    kit.time.on_sleep = die
    kit.server.forever = dying
    with pytest.raises(Killed):
        held.wait()
    kit.time.on_sleep = None

    again = kit.resume(path)
    kit.server.forever = granted("DPoP")
    again.wait().access_token.reveal()
    assert {poll["deferral_code"] for poll in kit.server.polls} == {CODE}
    assert len({poll.proof_key["x"] for poll in kit.server.polls}) == 1
    assert all(gap >= 5 for gap in kit.server.gaps())


@covers("T-226", "DTR-RD-13", "CM-05")
def test_the_slower_pace_survives_a_restart(kit: Kit, path: Path) -> None:
    held = kit.defer(interval=5)
    held.save(path)
    kit.server.says(pending(), slow_down(), slow_down(), pending())
    kit.server.forever = cut_the_power
    with pytest.raises(Killed):
        held.wait()

    again = kit.resume(path)
    kit.server.says(pending(), pending(), granted())
    kit.server.seen.clear()
    again.wait()
    assert kit.server.gaps() == [15, 15]


def cut_the_power(_seen: Seen) -> httpx2.Response:
    raise Killed


@covers("T-237", "DTR-SEC-05")
@pytest.mark.parametrize(
    "seal",
    [None, SealingKey.generate(), Passphrase(Secret("correct horse battery staple"))],
    ids=["beside", "key", "passphrase"],
)
def test_nothing_secret_stands_in_clear_in_the_file(
    kit: Kit, path: Path, seal: Seal | None
) -> None:
    key = generate_key()
    held = kit.defer(client=kit.client(dpop_key=key), scope="planted-scope")
    held.save(path, seal)

    content = path.read_bytes()
    private = render_private_pem(key)
    for planted in (CODE.encode(), CLIENT_SECRET.encode(), b"planted", *private.split(b"\n")[1:-2]):
        assert planted not in content
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert isinstance(kit.resume(path, seal=seal).inner.requested.scope, tuple)


@covers("T-237")
def test_the_clients_own_credentials_are_not_saved(kit: Kit, path: Path) -> None:
    seal = SealingKey.generate()
    held = kit.defer()
    held.save(path, seal)
    other = kit.client(authentication=ClientSecretBasic("rotated-secret"))
    again = kit.resume(path, client=other, seal=seal)
    kit.server.says(granted())
    again.wait()
    assert "rotated-secret" not in path.parent.name
    sent = kit.server.polls[-1].headers["authorization"]
    assert sent != kit.server.token_requests[0].headers["authorization"]


@covers("T-237", "DTR-RESP-07")
@pytest.mark.parametrize(
    "who",
    [
        {"server": "https://other.test"},
        {"server": "https://as.test/"},
        {"client_id": "another"},
    ],
)
def test_a_state_is_never_sent_to_another_issuer_or_as_another_client(
    kit: Kit, path: Path, who: dict[str, str]
) -> None:
    kit.defer().save(path)
    sent = len(kit.server.seen)
    with pytest.raises(ForeignState):
        kit.resume(path, client=kit.client(**who))  # type: ignore[arg-type]
    assert len(kit.server.seen) == sent
    assert path.exists()


@covers("T-237")
@pytest.mark.parametrize("at", [0, 20, 45, 60, -3])
def test_a_changed_state_is_refused(kit: Kit, path: Path, at: int) -> None:
    seal = SealingKey.generate()
    kit.defer().save(path, seal)
    content = bytearray(path.read_bytes())
    content[at] = ord("A") if content[at] != ord("A") else ord("B")
    path.write_bytes(content)
    with pytest.raises(StateUnreadable):
        kit.resume(path, seal=seal)


@covers("T-237")
def test_another_seal_does_not_open_it(kit: Kit, path: Path, tmp_path: Path) -> None:
    kit.defer().save(path, SealingKey.generate())
    for seal in (
        SealingKey.generate(),
        Passphrase(Secret("guess")),
        KeyFile(tmp_path / "missing.key"),
        None,
    ):
        with pytest.raises(StateUnreadable):
            kit.resume(path, seal=seal)
    with pytest.raises(StateUnreadable):
        kit.resume(tmp_path / "nothing")
    for content in (b"", b"x", b"abeyance-pending.1.key...", b"\xff", b"." * 100):
        path.write_bytes(content)
        with pytest.raises(StateUnreadable):
            kit.resume(path, seal=SealingKey.generate())


@covers("T-237")
@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_a_state_that_others_can_read_is_refused(kit: Kit, path: Path) -> None:
    kit.defer().save(path)
    path.chmod(0o644)
    with pytest.raises(StateUnreadable, match="0600"):
        kit.resume(path)
    with pytest.raises(Exposed):
        read_private(path)
    path.chmod(0o600)
    path.with_name(path.name + ".key").chmod(0o640)
    with pytest.raises(StateUnreadable):
        kit.resume(path)


def test_a_key_file_is_made_once_and_kept(kit: Kit, path: Path, tmp_path: Path) -> None:
    seal = KeyFile(tmp_path / "shared.key")
    kit.defer().save(path, seal)
    key = seal.path.read_bytes()
    second = kit.defer()
    second.save(tmp_path / "second.pending", seal)
    assert seal.path.read_bytes() == key
    kit.server.says(granted())
    second.wait()
    assert not (tmp_path / "second.pending").exists()
    assert seal.path.exists()


@covers("T-236")
@pytest.mark.parametrize("end", ["access_denied", "expired_token", "invalid_grant", "token"])
def test_the_file_goes_when_the_request_has_ended(kit: Kit, path: Path, end: str) -> None:
    kit.defer().save(path)
    again = kit.resume(path)
    kit.server.says(granted() if end == "token" else error(end))
    try:
        again.wait()
    except (AccessDenied, Expired, InvalidGrant):
        assert end != "token"
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("end", ["invalid_client", "something_new"])
def test_the_file_stays_when_only_this_process_is_refused(kit: Kit, path: Path, end: str) -> None:
    held = kit.defer()
    held.save(path)
    kit.server.says(error(end))
    with pytest.raises(ServerRefused):
        held.wait()
    again = kit.resume(path)
    kit.server.says(granted())
    again.wait()


def test_a_file_that_cannot_be_brought_up_to_date_costs_nothing(
    kit: Kit, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = path.parent / "folder"
    folder.mkdir()
    held = kit.defer()
    held.save(folder / "state")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    kit.server.says(slow_down(), granted())
    held.wait()
    assert "brought up to date" in caplog.text


@covers("T-238", "T-236")
def test_a_resumed_request_knows_its_expiry_by_the_wall_clock(kit: Kit, path: Path) -> None:
    kit.defer(expires_in=600).save(path)
    kit.time.pass_(300)
    again = kit.resume(path)
    began = kit.time.ticks
    with pytest.raises(Expired):
        again.wait()
    assert kit.time.ticks - began == 300


@covers("T-238", "T-236")
@pytest.mark.parametrize("hours", [1, 24 * 365])
def test_a_clock_that_says_it_is_over_is_not_believed_without_asking(
    kit: Kit, path: Path, hours: int
) -> None:
    kit.defer(expires_in=600).save(path)
    kit.time.wall += timedelta(hours=hours)
    again = kit.resume(path)
    kit.server.says(pending(), granted())
    again.wait()
    assert kit.server.gaps() == [5]


@covers("T-238")
def test_what_is_really_over_costs_one_poll(kit: Kit, path: Path) -> None:
    kit.defer(expires_in=600).save(path)
    kit.time.pass_(3600)
    again = kit.resume(path)
    kit.server.forever = error("expired_token")
    with pytest.raises(Expired):
        again.wait()
    assert len(kit.server.polls) == 1
    assert not path.exists()


def test_a_clock_that_was_set_back_does_not_lengthen_the_life(kit: Kit, path: Path) -> None:
    kit.defer(expires_in=600).save(path)
    kit.time.wall -= timedelta(days=1)
    again = kit.resume(path)
    began = kit.time.ticks
    with pytest.raises(Expired):
        again.wait()
    assert kit.time.ticks - began == 600


@covers("T-250")
@pytest.mark.parametrize(
    "lost",
    [
        httpx2.ReadError("cut"),
        httpx2.ReadTimeout("slow"),
        answer(b'{"access_token": "cut of', status=200),
        answer(b"<html>", status=502),
        error("server_error", status=500),
    ],
)
def test_a_lost_success_is_reported_as_such(kit: Kit, lost: Exception) -> None:
    held = kit.defer()
    kit.server.says(pending(), lost, error("invalid_grant"))
    with pytest.raises(InvalidGrant) as end:
        held.wait()
    assert end.value.result_may_be_lost
    assert "lost" in str(end.value)


@covers("T-250")
def test_a_pending_answer_shows_that_nothing_was_lost(kit: Kit) -> None:
    held = kit.defer()
    kit.server.says(httpx2.ReadError("cut"), pending(), error("invalid_grant"))
    with pytest.raises(InvalidGrant) as end:
        held.wait()
    assert not end.value.result_may_be_lost


@covers("T-250", "T-236")
def test_a_process_that_was_killed_may_have_lost_the_answer(kit: Kit, path: Path) -> None:
    kit.defer().save(path)
    again = kit.resume(path)
    kit.server.says(error("invalid_grant"))
    with pytest.raises(InvalidGrant) as end:
        again.wait()
    assert end.value.result_may_be_lost


def test_a_resumed_request_says_that_it_waits(kit: Kit, path: Path) -> None:
    kit.defer().save(path)
    kit.time.pass_(30)
    progress = kit.resume(path).inner.progress
    assert progress.state is Waiting.PENDING
    assert progress.waited == timedelta(seconds=30)
    assert progress.expires_in == timedelta(seconds=570)


def test_what_has_ended_is_not_saved(kit: Kit, path: Path) -> None:
    held = kit.defer()
    kit.server.says(error("access_denied"))
    with pytest.raises(AccessDenied):
        held.wait()
    with pytest.raises(AccessDenied):
        held.save(path)
    assert not path.exists()
