"""A token whenever one is needed: refreshed once for all who need it, kept, waited for."""

import asyncio
import itertools
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from abeyance.client import (
    AccessDenied,
    AsyncTokenSource,
    ForeignState,
    InvalidGrant,
    Misconfigured,
    StateUnreadable,
    StillPending,
    Token,
    TokenSource,
    Unavailable,
    generate_key,
)
from tests.client.fakes import Kit, Seen, answer, cut, deferred, error, granted, pending
from tests.covers import covers

COUNT = itertools.count(1)


def fresh(refresh: str | None = "r2", **members: Any) -> Callable[[Seen], Any]:
    """A success with an access token of its own."""
    body = {"token_type": "Bearer", "expires_in": 300, "scope": "read write"} | members
    if refresh is not None:
        body["refresh_token"] = refresh
    return answer(body | {"access_token": f"a-{next(COUNT)}"}, status=200)


def first(kit: Kit, *, key: bool = False, client: Any = None) -> tuple[Any, Token]:
    client = client or kit.client(dpop_key=generate_key() if key else None)
    kit.server.says(fresh("r1", token_type="DPoP" if key else "Bearer"))
    token = kit.run(client.request_token(scope="read write"))
    assert isinstance(token, Token)
    kit.server.seen.clear()
    return client, token


class Source:
    """A source of either kind, with blocking methods."""

    def __init__(self, kit: Kit, client: Any, **given: Any) -> None:
        self.kit = kit
        kind: Any = TokenSource if kit.kind == "sync" else AsyncTokenSource
        self.inner = kind(client, **given)

    def token(self, **given: Any) -> Token:
        token: Token = self.kit.run(self.inner.token(**given))
        return token

    def keep(self, token: Token) -> None:
        self.kit.run(self.inner.keep(token))


# --- refresh itself


def test_a_refresh_sends_the_token_and_the_key_that_it_came_with(kit: Kit) -> None:
    client, token = first(kit, key=True)
    kit.server.says(fresh("r2", token_type="DPoP"))
    again = kit.run(client.refresh(token))
    [sent] = kit.server.token_requests
    assert (sent["grant_type"], sent["refresh_token"]) == ("refresh_token", "r1")
    assert "scope" not in sent.names
    assert token.dpop_key is not None
    assert sent.proof_key["x"] == token.dpop_key.public.jwk["x"]
    assert again.refresh_token.reveal() == "r2"
    assert again.access_token.reveal() != token.access_token.reveal()


def test_what_is_narrowed_at_a_refresh_is_what_was_requested(kit: Kit) -> None:
    client, token = first(kit)
    kit.server.says(fresh(scope="read"))
    again = kit.run(client.refresh(token, scope="read"))
    assert kit.server.token_requests[-1]["scope"] == "read"
    assert not again.partial
    kit.server.says(fresh(scope="read"))
    assert kit.run(client.refresh(token)).missing.scope == ("write",)


def test_a_server_that_sends_no_new_refresh_token_leaves_the_old_one(kit: Kit) -> None:
    client, token = first(kit)
    kit.server.says(fresh(None))
    assert kit.run(client.refresh(token)).refresh_token.reveal() == "r1"


def test_without_a_refresh_token_nothing_is_sent(kit: Kit) -> None:
    client = kit.client()
    kit.server.says(granted())
    token = kit.run(client.request_token())
    kit.server.seen.clear()
    with pytest.raises(Misconfigured):
        kit.run(client.refresh(token))
    assert kit.server.seen == []


def test_a_refresh_can_be_told_to_wait(kit: Kit) -> None:
    client, token = first(kit)
    kit.server.says(deferred(), pending(), fresh())
    pending_token = kit.run(client.refresh(token))
    again = kit.run(pending_token.wait())
    assert again.refresh_token.reveal() == "r2"
    assert kit.server.polls[-1].names == {"grant_type", "deferral_code"}


def test_a_bare_refresh_token_goes_with_the_key_of_the_client(kit: Kit) -> None:
    client, token = first(kit, key=True)
    assert token.refresh_token is not None
    kit.server.says(fresh(None, token_type="DPoP"))
    again = kit.run(client.refresh(token.refresh_token))
    [sent] = kit.server.token_requests
    assert sent["refresh_token"] == "r1"
    assert sent.proof_key["x"] == client.dpop_key.public.jwk["x"]
    assert again.refresh_token.reveal() == "r1"
    assert "r1" not in repr(again)


# --- a source


def test_a_good_token_is_given_without_asking(kit: Kit) -> None:
    client, token = first(kit)
    source = Source(kit, client)
    source.keep(token)
    assert source.token() is token
    assert kit.server.seen == []


def test_a_token_is_refreshed_before_it_ends(kit: Kit) -> None:
    client, token = first(kit)
    source = Source(kit, client)
    source.keep(token)
    kit.time.pass_(269)
    assert source.token() is token
    kit.time.pass_(1)
    kit.server.says(fresh())
    assert source.token() is not token
    assert [sent["refresh_token"] for sent in kit.server.token_requests] == ["r1"]


def test_a_rejected_token_is_refreshed_although_it_seems_good(kit: Kit) -> None:
    client, token = first(kit)
    source = Source(kit, client)
    source.keep(token)
    kit.server.says(fresh())
    again = source.token(instead_of=token)
    # Whoever else was rejected with the old one takes what is there now.
    assert source.token(instead_of=token) is again
    assert len(kit.server.token_requests) == 1


def test_without_a_token_one_is_obtained_and_waited_for(kit: Kit) -> None:
    client = kit.client()
    kit.server.says(deferred(), pending(), fresh())
    source = Source(kit, client, obtain=lambda: client.request_token(scope="read write"))
    assert source.token().refresh_token is not None
    assert len(kit.server.polls) == 2


def test_a_grant_that_has_ended_is_obtained_anew_or_told(kit: Kit) -> None:
    client, token = first(kit)
    source = Source(kit, client, obtain=lambda: client.request_token(scope="read"))
    source.keep(token)
    kit.time.pass_(300)
    kit.server.says(error("invalid_grant"), fresh())
    assert source.token() is not token
    assert [sent["grant_type"] for sent in kit.server.token_requests] == [
        "refresh_token",
        "client_credentials",
    ]
    bare = Source(kit, client)
    bare.keep(token)
    kit.server.says(error("invalid_grant"))
    with pytest.raises(InvalidGrant):
        bare.token()
    with pytest.raises(Misconfigured):
        bare.token()


def test_after_a_lost_answer_the_same_refresh_token_is_shown_again(kit: Kit) -> None:
    client, token = first(kit)
    source = Source(kit, client)
    source.keep(token)
    kit.time.pass_(300)
    kit.server.says(cut, fresh("r3"))
    with pytest.raises(Unavailable):
        source.token()
    source.token()
    assert [sent["refresh_token"] for sent in kit.server.token_requests] == ["r1", "r1"]


# --- kept in a file


def test_what_is_kept_is_found_by_the_next_process(kit: Kit, tmp_path: Path) -> None:
    client, token = first(kit, key=True)
    Source(kit, client, path=tmp_path / "grant").keep(token)
    found = Source(kit, kit.client(), path=tmp_path / "grant").token()
    assert found.access_token.reveal() == token.access_token.reveal()
    assert found.granted == token.granted
    assert found.dpop_key is not None
    assert token.dpop_key is not None
    assert found.dpop_key.public.jkt == token.dpop_key.public.jkt
    assert kit.server.seen == []
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name
        assert token.access_token.reveal().encode() not in file.read_bytes()
        assert b'"r1"' not in file.read_bytes()


def test_a_foreign_or_damaged_file_is_refused_and_left_alone(kit: Kit, tmp_path: Path) -> None:
    client, token = first(kit)
    path = tmp_path / "grant"
    Source(kit, client, path=path).keep(token)
    with pytest.raises(ForeignState):
        Source(kit, kit.client(client_id="other"), path=path).token()
    content = path.read_bytes()
    path.write_bytes(content[:-4] + b"AAA\n")
    with pytest.raises(StateUnreadable):
        Source(kit, client, path=path).token()
    assert path.exists()
    path.write_bytes(content)
    path.chmod(0o644)
    with pytest.raises(StateUnreadable):
        Source(kit, client, path=path).token()


@covers("T-236")
def test_a_wait_that_was_broken_off_is_gone_on_with(kit: Kit, tmp_path: Path) -> None:
    path = tmp_path / "grant"
    client = kit.client()

    def obtain() -> Any:
        return client.request_token(scope="read write")

    kit.server.says(deferred(), pending())
    broken = Source(kit, client, obtain=obtain, path=path, timeout=timedelta(seconds=7))
    with pytest.raises(StillPending):
        broken.token()
    asked = len(kit.server.token_requests) - len(kit.server.polls)
    kit.server.says(fresh())
    token = Source(kit, kit.client(), obtain=obtain, path=path).token()
    assert len(kit.server.token_requests) - len(kit.server.polls) == asked == 1
    assert Source(kit, kit.client(), path=path).token().access_token.reveal() == (
        token.access_token.reveal()
    )
    assert not (tmp_path / "grant.pending").exists()


def test_a_denied_refresh_leaves_the_old_grant(kit: Kit, tmp_path: Path) -> None:
    client, token = first(kit)
    source = Source(kit, client, path=tmp_path / "grant")
    source.keep(token)
    kit.time.pass_(300)
    kit.server.says(deferred(), error("access_denied"))
    with pytest.raises(AccessDenied):
        source.token()
    kit.server.says(fresh())
    assert source.token().refresh_token is not None
    assert kit.server.token_requests[-1]["refresh_token"] == "r1"


# --- one flight


def test_threads_share_one_refresh(sync_kit: Kit) -> None:
    client, token = first(sync_kit)
    source = TokenSource(client)
    source.keep(token)
    sync_kit.time.pass_(300)
    go = threading.Barrier(8)
    sync_kit.server.says(fresh())
    sync_kit.server.forever = error("invalid_grant")

    def use(_n: int) -> str:
        go.wait(20)
        return source.token().access_token.reveal()

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(use, range(8)))) == 1
    assert len(sync_kit.server.token_requests) == 1


def test_tasks_share_one_refresh() -> None:
    kit = Kit("async")
    try:
        client, token = first(kit)
        source = AsyncTokenSource(client)
        kit.run(source.keep(token))
        kit.time.pass_(300)
        kit.server.says(fresh())
        kit.server.forever = error("invalid_grant")

        async def all_at_once() -> list[Token]:
            return await asyncio.gather(*(source.token() for _ in range(8)))

        tokens = kit.run(all_at_once())
        assert len({each.access_token.reveal() for each in tokens}) == 1
        assert len(kit.server.token_requests) == 1
    finally:
        kit.close()


def test_two_sources_with_one_file_share_one_refresh(sync_kit: Kit, tmp_path: Path) -> None:
    client, token = first(sync_kit)
    sources = [TokenSource(client, path=tmp_path / "grant") for _ in range(2)]
    sources[0].keep(token)
    sync_kit.time.pass_(300)
    sync_kit.server.says(fresh())
    assert len({source.token().access_token.reveal() for source in sources}) == 1
    assert len(sync_kit.server.token_requests) == 1


def test_a_full_disk_does_not_cost_the_token(
    sync_kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, token = first(sync_kit)
    source = TokenSource(client, path=tmp_path / "grant")
    source.keep(token)
    sync_kit.time.pass_(300)

    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("abeyance.client.grant_file.write_private", full)
    sync_kit.server.says(fresh())
    assert source.token().access_token.reveal() != token.access_token.reveal()
    assert source.token().refresh_token is not None
    assert len(sync_kit.server.token_requests) == 1


@pytest.mark.parametrize("recovered", [True, False], ids=["then room again", "full for good"])
def test_a_spent_refresh_token_in_the_file_is_not_shown_again(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recovered: bool
) -> None:
    client, token = first(kit)
    path = tmp_path / "grant"
    source = Source(kit, client, path=path)
    source.keep(token)
    kit.time.pass_(300)

    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("abeyance.client.grant_file.write_private", full)
        kit.server.says(fresh("r2"), fresh("r3"))
        source.token()
        if not recovered:
            kit.time.pass_(300)
            source.token()
    kit.time.pass_(300)
    kit.server.says(fresh("r4"))
    last = source.token()
    shown = [sent["refresh_token"] for sent in kit.server.token_requests]
    assert shown == (["r1", "r2"] if recovered else ["r1", "r2", "r3"])
    found = Source(kit, kit.client(), path=path).token()
    assert found.access_token.reveal() == last.access_token.reveal()


def test_what_another_process_kept_meanwhile_counts(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, token = first(kit)
    path = tmp_path / "grant"
    source = Source(kit, client, path=path)
    source.keep(token)
    kit.time.pass_(300)

    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("abeyance.client.grant_file.write_private", full)
        kit.server.says(fresh("r2"))
        source.token()
    kit.time.pass_(300)
    _, newer = first(kit, client=client)
    Source(kit, kit.client(), path=path).keep(newer)
    assert source.token().access_token.reveal() == newer.access_token.reveal()
    assert kit.server.token_requests == []
