"""The ring of a running server: it follows the folder and the clock, and nothing breaks it."""

import os
from collections.abc import Iterator, MutableMapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from abeyance.keys import KeyRing
from abeyance.keys.ring import LOOK_EVERY
from tests.covers import covers
from tests.keys.files import NOW, lay, lay_bytes

FIRST = "signing-20260304T120000Z.pem"
NEXT = "20260304T130000Z"


class Clock:
    """Stands still until the test moves it."""

    def __init__(self) -> None:
        self.at = NOW
        self.ticks = 0.0

    def now(self) -> datetime:
        return self.at

    def tick(self) -> float:
        return self.ticks

    def move(self, by: timedelta) -> None:
        self.at += by
        self.ticks += by.total_seconds()

    def pass_a_look(self) -> None:
        self.move(timedelta(seconds=LOOK_EVERY))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def ring(folder: Path, clock: Clock) -> KeyRing:
    return KeyRing.open(folder, now=clock.now, tick=clock.tick)


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[MutableMapping[str, Any]]]:
    # A fresh one: the module's may be bound to the logs of another test.
    monkeypatch.setattr("abeyance.keys.ring._log", structlog.get_logger("abeyance.keys"))
    with capture_logs() as found:
        yield found


def shown(ring: KeyRing) -> list[str]:
    return [key.jkt for key in ring.published.keys]


def settle(ring: KeyRing, clock: Clock) -> None:
    """Let it look until nothing moves."""
    for _ in range(3):
        clock.pass_a_look()
        assert ring.signing.kid


@covers("OAUTH-OIDC-16", "OAUTH-META-07")
def test_a_key_that_is_laid_down_is_published_then_signs_then_alone(
    ring: KeyRing, folder: Path, clock: Clock
) -> None:
    first = ring.signing.kid
    second = lay(folder, NEXT)
    clock.pass_a_look()
    assert (ring.signing.kid, shown(ring)) == (first, [second, first])
    clock.move(NOW + timedelta(hours=1, microseconds=-1) - clock.at)
    assert (ring.signing.kid, shown(ring)) == (first, [second, first])
    clock.move(timedelta(microseconds=1))
    assert (ring.signing.kid, shown(ring)) == (second, [second, first])
    clock.move(timedelta(hours=1, minutes=5, microseconds=-1))
    assert shown(ring) == [second, first]
    clock.move(timedelta(microseconds=1))
    assert (ring.signing.kid, shown(ring)) == (second, [second])
    assert (folder / FIRST).exists()


def test_the_folder_is_looked_at_every_five_seconds_and_no_earlier(
    ring: KeyRing, folder: Path, clock: Clock
) -> None:
    lay(folder, NEXT)
    clock.move(timedelta(seconds=LOOK_EVERY) - timedelta(milliseconds=1))
    assert len(shown(ring)) == 1
    clock.move(timedelta(milliseconds=1))
    assert len(shown(ring)) == 2


def test_a_key_whose_instant_comes_between_two_looks_signs_at_once(
    ring: KeyRing, folder: Path, clock: Clock
) -> None:
    second = lay(folder, "20260304T120007Z")
    clock.pass_a_look()
    assert ring.signing.kid != second
    clock.move(timedelta(seconds=2))
    assert ring.signing.kid == second


def test_a_clock_that_is_set_back_takes_the_keys_back_with_it(
    ring: KeyRing, folder: Path, clock: Clock
) -> None:
    first = ring.signing.kid
    second = lay(folder, NEXT)
    clock.pass_a_look()
    clock.move(timedelta(hours=1))
    assert ring.signing.kid == second
    clock.at = NOW
    assert (ring.signing.kid, shown(ring)) == (first, [second, first])


def test_what_is_published_stays_the_same_object_until_it_changes(
    ring: KeyRing, folder: Path, clock: Clock
) -> None:
    before = ring.published
    settle(ring, clock)
    os.utime(folder)
    settle(ring, clock)
    assert ring.published is before
    lay(folder, NEXT)
    clock.pass_a_look()
    after = ring.published
    assert after is not before
    clock.move(timedelta(hours=1))
    assert ring.signing.kid == shown(ring)[0]
    assert ring.published is after


def test_a_folder_in_which_nothing_moved_is_not_read(
    ring: KeyRing, folder: Path, clock: Clock, logs: list[MutableMapping[str, Any]]
) -> None:
    settle(ring, clock)
    (folder / FIRST).chmod(0o644)  # which would be refused, and does not touch the folder
    settle(ring, clock)
    assert logs == []
    os.utime(folder)
    clock.pass_a_look()
    assert ring.signing.kid
    assert [each["log_level"] for each in logs] == ["error"]


def test_a_key_that_leaves_the_same_time_behind_is_noticed_at_the_next_look(
    ring: KeyRing, folder: Path, clock: Clock
) -> None:
    lay(folder, NEXT)
    clock.pass_a_look()
    assert len(shown(ring)) == 2
    stamp = folder.stat().st_mtime_ns
    third = lay(folder, "20260304T140000Z")
    os.utime(folder, ns=(stamp, stamp))
    clock.pass_a_look()
    assert third in shown(ring)


@pytest.mark.parametrize("content", [b"", b"alg: none\n"])
@covers("OAUTH-OIDC-16")
def test_a_bad_file_never_breaks_a_server_that_serves(
    ring: KeyRing,
    folder: Path,
    clock: Clock,
    content: bytes,
    logs: list[MutableMapping[str, Any]],
) -> None:
    first, second = ring.signing.kid, lay(folder, NEXT)
    clock.pass_a_look()
    assert len(shown(ring)) == 2
    logs.clear()
    bad = lay_bytes(folder, "20260304T123000Z", content)
    settle(ring, clock)
    assert (ring.signing.kid, shown(ring)) == (first, [second, first])
    [told] = logs  # once, though it was met at each look
    assert (told["log_level"], told["file"]) == ("error", bad.name)
    # What was known before goes on: the next key signs when its instant comes.
    clock.move(timedelta(hours=1))
    assert ring.signing.kid == second
    bad.unlink()
    third = lay(folder, "20260304T123000Z")
    clock.pass_a_look()
    assert third in shown(ring)


def test_a_folder_that_has_gone_breaks_nothing_either(
    ring: KeyRing, folder: Path, clock: Clock, logs: list[MutableMapping[str, Any]]
) -> None:
    first = ring.signing.kid
    folder.rename(folder.with_name("elsewhere"))
    settle(ring, clock)
    assert (ring.signing.kid, shown(ring)) == (first, [first])
    assert [each["log_level"] for each in logs] == ["error"]
    folder.with_name("elsewhere").rename(folder)
    second = lay(folder, NEXT)
    clock.pass_a_look()
    assert shown(ring) == [second, first]


def test_a_bad_file_that_is_mended_is_noticed_without_anything_moving(
    ring: KeyRing, folder: Path, clock: Clock
) -> None:
    kid = lay(folder, NEXT)
    file = folder / f"signing-{NEXT}.pem"
    file.chmod(0o644)
    settle(ring, clock)
    assert kid not in shown(ring)
    file.chmod(0o600)
    clock.pass_a_look()
    assert kid in shown(ring)


def test_whoever_asked_is_told_once_which_key_signs_now(
    ring: KeyRing, folder: Path, clock: Clock
) -> None:
    told: list[str] = []
    ring.on_change(lambda key: told.append(key.kid))
    second = lay(folder, NEXT)
    settle(ring, clock)
    assert told == []
    clock.move(timedelta(hours=1))
    for _ in range(3):
        assert ring.published
    assert told == [second]
    clock.move(timedelta(hours=2))
    assert ring.signing.kid == second
    assert told == [second]


@covers("OAUTH-SEC-07")
def test_derived_keys_stay_whatever_happens_to_their_root(
    ring: KeyRing, folder: Path, clock: Clock
) -> None:
    before = ring.derived
    (folder / "root.key").write_bytes(b"x" * 43)
    lay(folder, NEXT)
    settle(ring, clock)
    assert len(shown(ring)) == 2
    assert ring.derived == before


@covers("OAUTH-SEC-06")
def test_nothing_secret_is_logged_or_printed(
    ring: KeyRing, folder: Path, clock: Clock, logs: list[MutableMapping[str, Any]]
) -> None:
    lay(folder, NEXT)
    lay_bytes(folder, "20260304T140000Z", b"-----BEGIN PRIVATE KEY-----\nhidden\n")
    settle(ring, clock)
    (folder / "signing-20260304T140000Z.pem").unlink()
    settle(ring, clock)
    clock.move(timedelta(hours=1))
    assert ring.signing.kid
    assert len(logs) == 3
    secret = [line for path in folder.iterdir() for line in path.read_text().splitlines()]
    for line in [each for each in secret if len(each) > 20 and "KEY" not in each]:
        assert line not in repr(logs)
        assert line not in repr(ring)
        assert line not in repr(ring.scheduled)
    assert "hidden" not in repr(logs)
