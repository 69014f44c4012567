"""Limits: what slows a caller down, and whom it leaves alone (security catalogue 7)."""

from pathlib import Path

from tests.covers import covers
from tests.served import Served


@covers("OAUTH-CAUTH-11", "T-219", "DTR-SEC-06", "OAUTH-HTTP-07")
async def test_wrong_secrets_are_slowed_and_the_right_client_elsewhere_is_not(
    served: Served,
) -> None:
    wrong = [("grant_type", "x"), ("client_id", "s1"), ("client_secret", "x" * 40)]
    answers = [await served.post("/token", wrong) for _ in range(7)]
    assert [each.status for each in answers[:6]] == [401] * 6
    assert (answers[6].status, answers[6].error) == (429, "temporarily_unavailable")
    assert answers[6].header("retry-after") is not None
    served.clock.move(31)  # the longest delay: nobody is locked out for good
    assert (await served.s1.ask(scope="now")).status == 200
    assert (await served.post("/token", wrong)).status == 401


@covers("T-219", "OAUTH-DEFER-08", "SEC-TOK-26", "SEC-DOS-13", "EXT-NOTE-09")
async def test_pending_and_unknown_codes_are_no_failures_and_write_nothing(
    served: Served, tmp_path: Path
) -> None:
    code, log = await served.s1.defer(), tmp_path / "abeyance.db-wal"
    written = log.read_bytes()
    errors = set()
    for _ in range(12):
        errors.add((await served.s1.poll(code)).error)
        errors.add((await served.s1.poll("A" * 64)).error)
    assert errors == {"authorization_pending", "slow_down", "invalid_grant"}
    assert log.read_bytes() == written
    assert (await served.s1.ask(scope="now")).status == 200
    failures = served.house.counters.authentication_failures
    assert failures._value.get() == 0


@covers("SEC-DOS-08", "DTR-SEC-06")
async def test_creations_have_a_rate_and_a_burst(served: Served) -> None:
    answers = []
    for _ in range(60):
        answers.append(await served.s1.ask(scope="read"))
        if answers[-1].status == 429:
            break
        await served.s1.revoke(answers[-1].code)
    assert len(answers) == 51
    assert answers[-1].header("retry-after") == "1"
    served.clock.move(1)
    assert (await served.s1.ask(scope="read")).error == "authorization_pending"
    assert (await served.c1.ask(scope="read")).error == "authorization_pending"
