"""Passwords: one computation for each question, four at once, nothing told by the cost."""

import asyncio
import threading

import argon2
import pytest

from abeyance.server import passwords
from abeyance.server.passwords import Overloaded, Passwords, UnfitPassword, Verdict
from abeyance.wire.secret import Secret
from tests.covers import covers

pytestmark = pytest.mark.anyio

RIGHT = "correct horse battery staple"
ENCODED = passwords.hash_password_now(Secret(RIGHT))


@covers("OAUTH-SEC-03")
async def test_a_hash_carries_the_parameters_of_today() -> None:
    pool = Passwords()
    encoded = await pool.hash(Secret(RIGHT))
    parameters = argon2.extract_parameters(encoded)
    assert parameters.type is argon2.Type.ID
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (65536, 3, 4)
    assert await pool.verify(Secret(RIGHT), encoded) is Verdict.RIGHT
    assert await pool.verify(Secret(RIGHT + "!"), encoded) is Verdict.WRONG


@covers("OAUTH-SESS-07", "OAUTH-SEC-03")
@pytest.mark.parametrize(
    ("password", "known"),
    [(RIGHT, True), ("wrong", True), (RIGHT, False), ("", False), ("x" * 2000, True)],
)
async def test_every_question_costs_one_computation(password: str, known: bool) -> None:
    pool = Passwords()
    await pool.verify(Secret(password), ENCODED if known else None)
    assert pool.computations == 1


@covers("OAUTH-SESS-07")
async def test_nobodys_hash_costs_what_a_real_one_costs_and_fits_no_password() -> None:
    mine, nobodys = (argon2.extract_parameters(each) for each in (ENCODED, passwords._NOBODY))
    assert mine == nobodys
    assert await Passwords().verify(Secret(RIGHT), None) is Verdict.WRONG


@covers("OAUTH-SEC-03")
async def test_a_password_beyond_the_limit_is_wrong_even_with_the_right_beginning() -> None:
    most = "x" * passwords.MAX_BYTES
    encoded = passwords.hash_password_now(Secret(most))
    pool = Passwords()
    assert await pool.verify(Secret(most), encoded) is Verdict.RIGHT
    assert await pool.verify(Secret(most + "x"), encoded) is Verdict.WRONG


@covers("OAUTH-SEC-03")
async def test_no_more_than_the_limit_is_ever_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []
    monkeypatch.setattr(passwords, "_matches", lambda _, text: lengths.append(len(text)))
    pool = Passwords()
    for encoded in (ENCODED, None):
        await pool.verify(Secret("x" * 1_000_000), encoded)
    assert lengths == [passwords.MAX_BYTES] * 2


@pytest.mark.parametrize("password", ["", "eleven char", "x" * 1025, "ä" * 513])
async def test_an_unfit_password_is_never_hashed(password: str) -> None:
    pool = Passwords()
    with pytest.raises(UnfitPassword):
        await pool.hash(Secret(password))
    assert pool.computations == 0


@covers("OAUTH-SEC-03")
async def test_a_hash_with_other_parameters_is_right_but_old() -> None:
    weaker = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
    pool = Passwords()
    assert await pool.verify(Secret(RIGHT), weaker.hash(RIGHT)) is Verdict.RIGHT_BUT_OLD


@pytest.mark.parametrize("encoded", ["", "plain", "$argon2id$v=19$m=8,t=1,p=1$AAAA$BBBB"])
async def test_what_is_no_hash_is_wrong_and_no_fault(encoded: str) -> None:
    assert await Passwords().verify(Secret(RIGHT), encoded) is Verdict.WRONG


async def test_two_keyboards_type_the_same_password() -> None:
    encoded = passwords.hash_password_now(Secret("Stra\u00dfe im Cafe\u0301"))
    pool = Passwords()
    assert await pool.verify(Secret("Stra\u00dfe im Caf\u00e9"), encoded) is Verdict.RIGHT


@covers("SEC-DOS-16")
async def test_at_most_four_are_computed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lock, go = threading.Lock(), threading.Event()
    full, loop = asyncio.Event(), asyncio.get_running_loop()
    running = most = 0

    def slow(_encoded: str, _text: bytes) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == passwords.AT_ONCE:
                loop.call_soon_threadsafe(full.set)
        go.wait(timeout=10)
        with lock:
            running -= 1
        return True

    monkeypatch.setattr(passwords, "_matches", slow)
    pool = Passwords()
    tasks = [asyncio.create_task(pool.verify(Secret(RIGHT), ENCODED)) for _ in range(50)]
    await full.wait()
    # Who goes away does not free a place before the computation ends.
    for task in tasks[:10]:
        task.cancel()
    for _ in range(100):
        await asyncio.sleep(0)
    go.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert most == passwords.AT_ONCE
    pool.close()


@covers("SEC-DOS-16")
async def test_beyond_a_bound_nobody_else_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(passwords, "_matches", lambda *_: go.wait(timeout=10))
    pool = Passwords()
    tasks = [
        asyncio.create_task(pool.verify(Secret(RIGHT), None)) for _ in range(passwords.WAITING)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await pool.verify(Secret(RIGHT), None)
    go.set()
    await asyncio.gather(*tasks)
    assert await pool.verify(Secret(RIGHT), None) is Verdict.WRONG
    pool.close()
