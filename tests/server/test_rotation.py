"""A signing key is changed under a running server: what clients and resource servers see."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from abeyance.keys.rotating import lay_down, take_out
from abeyance.proofs.access_token import verify_access_token
from abeyance.proofs.jwk import KeySet, parse_jwks
from abeyance.proofs.jws import BadToken
from abeyance.server.key_events import CHANGED
from tests.config import CONFIG, ISSUER
from tests.covers import covers
from tests.served import Served, serve

HOUR = timedelta(hours=1)
MANY = 1_000


async def published(served: Served) -> KeySet:
    """The key set as a resource server fetches it."""
    answer = await served.get("/jwks")
    assert answer.header("cache-control") == "public, max-age=300"
    return parse_jwks(answer.json)


async def kids(served: Served) -> list[str]:
    return [str(key.kid) for key in (await published(served)).keys]


async def changes(served: Served) -> list[str]:
    """The kids that the security log names, the oldest first."""
    events = await served.house.store.list_security_events(100)
    found = [each for each in events if each.event == CHANGED]
    assert {each.actor for each in found} <= {"system"}
    return [each.detail.split()[0] for each in reversed(found)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def rotate(served: Served, folder: Path, *, ahead: timedelta = HOUR) -> str:
    now = served.clock.now()
    return lay_down(folder, at=now + ahead, alg="ES256", now=now).kid


@covers("OAUTH-META-07", "OAUTH-META-08", "OAUTH-OIDC-16", "OAUTH-DEFER-12", "OAUTH-JWT-09")
async def test_tokens_of_both_keys_verify_while_one_follows_the_other(
    served: Served, folder: Path
) -> None:
    [first] = await kids(served)
    etag = (await served.get("/jwks")).header("etag")
    assert etag is not None
    second = rotate(served, folder)
    served.clock.move(5)
    known = await published(served)
    assert [key.kid for key in known.keys] == [second, first]
    assert (await served.get("/jwks", [("if-none-match", etag)])).status == 200
    served.clock.move(HOUR.total_seconds() - 6)
    old = (await served.s1.ask(scope="now")).json["access_token"]
    served.clock.move(1)
    new = (await served.s1.ask(scope="now")).json["access_token"]
    # With what was fetched before the new key had signed anything.
    for token, kid in ((old, first), (new, second)):
        verify_access_token(token, keys=known, issuer=ISSUER, now=served.clock.now())
        own = KeySet(tuple(key for key in known.keys if key.kid == kid))
        verify_access_token(token, keys=own, issuer=ISSUER, now=served.clock.now())
    served.clock.move(10 * 60 - 2)
    verify_access_token(old, keys=await published(served), issuer=ISSUER, now=served.clock.now())
    served.clock.move(HOUR.total_seconds())
    assert await kids(served) == [second]


@covers("SEC-STORE-07", "OAUTH-DEFER-12")
async def test_every_open_deferral_is_collected_across_a_rotation(tmp_path: Path) -> None:
    many = CONFIG.replace("creations_burst = 50", f"creations_burst = {MANY}")
    async with serve(tmp_path, config=many) as served:
        codes = await asyncio.gather(*(served.s1.defer() for _ in range(MANY)))
        await served.approve(codes[0])
        second = rotate(served, tmp_path / "keys", ahead=timedelta(minutes=25))
        served.clock.move(5)
        assert len(await kids(served)) == 2
        served.clock.move(25 * 60 - 5)
        answers = await asyncio.gather(*(served.s1.poll(code) for code in codes[1:]))
        assert {each.error for each in answers} == {"authorization_pending"}
        token = (await served.s1.poll(codes[0])).json["access_token"]
        [key] = [each for each in (await published(served)).keys if each.kid == second]
        verify_access_token(token, keys=KeySet((key,)), issuer=ISSUER, now=served.clock.now())


@covers("OAUTH-OIDC-16", "SEC-STORE-07")
async def test_what_a_key_signed_that_was_taken_out_verifies_no_more(
    served: Served, folder: Path
) -> None:
    [first] = await kids(served)
    token = (await served.s1.ask(scope="now")).json["access_token"]
    second = rotate(served, folder, ahead=timedelta(seconds=1))
    served.clock.move(6)
    assert await kids(served) == [second, first]
    take_out(folder, first, now=served.clock.now())
    served.clock.move(5)
    keys = await published(served)
    assert [key.kid for key in keys.keys] == [second]
    with pytest.raises(BadToken):
        verify_access_token(token, keys=keys, issuer=ISSUER, now=served.clock.now())
    verify_access_token(
        (await served.s1.ask(scope="now")).json["access_token"],
        keys=keys, issuer=ISSUER, now=served.clock.now(),
    )  # fmt: skip


@covers("OAUTH-OIDC-16")
async def test_the_security_log_says_once_when_another_key_signs(
    tmp_path: Path, folder: Path
) -> None:
    async with serve(tmp_path) as served:
        [first] = await kids(served)
        assert await changes(served) == [first]
    async with serve(tmp_path) as served:
        second = rotate(served, folder)
        served.clock.move(5)
        assert await kids(served) == [second, first]
        assert await changes(served) == [first]
        served.clock.move(HOUR.total_seconds())
        assert (await served.s1.ask(scope="now")).status == 200
        # No pause: the house writes what it knows of before it closes.
        third = rotate(served, folder, ahead=timedelta(seconds=1))
    async with serve(tmp_path) as served:
        # Its clock begins before all of them; the oldest key signs again.
        assert await changes(served) == [first, second, first]
        served.clock.move(2 * HOUR.total_seconds())
        assert (await kids(served))[0] == third
    async with serve(tmp_path) as served:
        assert await changes(served) == [first, second, first, third, first]
