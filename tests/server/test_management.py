"""Probes and metrics, on a listener of their own."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from abeyance.server.gauges import BEAT
from abeyance.server.management import Management
from abeyance.server.settings import ConfigurationError, Listen, load_settings
from abeyance.store.ports import StoreAway
from tests.config import SECRET
from tests.covers import covers
from tests.served import Served, serve

_OF_THE_PROCESS = "process_"
_DEPLOY = Path(__file__).parents[2] / "deploy"


def _beside(served: Served, management: Management) -> Served:
    """The management listener of the same house."""
    return Served(cast(Any, management), served.house, served.clock, served.keys)


def _opened(served: Served) -> Served:
    management = Management()
    management.opened(served.house)
    return _beside(served, management)


async def _samples(beside: Served) -> Mapping[str, float]:
    beside.clock.move(5)
    answer = await beside.get("/metrics")
    assert answer.status == 200
    assert answer.header("content-type") is not None
    lines = answer.body.decode().splitlines()
    pairs = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    return {name: float(value) for name, _, value in pairs if not name.startswith(_OF_THE_PROCESS)}


@covers("SEC-OPS-14")
async def test_probes_tell_starting_serving_and_stopping_apart(served: Served) -> None:
    management = Management()
    beside = _beside(served, management)

    async def statuses() -> list[int]:
        paths = ("/livez", "/startupz", "/readyz", "/healthz", "/metrics")
        return [(await beside.get(path)).status for path in paths]

    assert await statuses() == [200, 503, 503, 503, 503]
    assert (await beside.get("/readyz")).json == {"status": "starting", "checks": {}}
    management.opened(served.house)
    assert await statuses() == [200, 200, 200, 200, 200]
    assert (await beside.get("/readyz")).json == {"status": "ok", "checks": {"store": "ok"}}
    management.stops()
    assert await statuses() == [200, 200, 503, 503, 200], "what stops can still be measured"
    assert (await beside.get("/readyz")).json == {"status": "stopping", "checks": {}}
    management.closed()
    assert await statuses() == [200, 200, 503, 503, 503]


@covers("SEC-OPS-14", "SEC-OPS-10", "OAUTH-HTTP-10")
async def test_only_what_is_there_is_answered_and_only_to_who_reads(served: Served) -> None:
    beside = _opened(served)
    for path in ("/livez", "/readyz", "/startupz", "/healthz", "/metrics"):
        posted = await beside.post(path, [])
        assert (posted.status, posted.header("allow")) == (405, "GET, HEAD")
        assert (await beside.send("HEAD", path)).status == 200
    for path in ("/", "/token", "/jwks", "/console/", "/metrics/", "/.env"):
        assert (await beside.get(path)).status == 404
    for answer in (await beside.get("/metrics"), await beside.get("/readyz")):
        assert answer.header("x-content-type-options") == "nosniff"
        assert answer.header("cache-control") == "no-store"


@covers("SEC-OPS-14")
async def test_a_store_that_is_away_is_told_and_not_measured(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = _opened(served)
    assert (await _samples(beside))["abeyance_store_up"] == 1

    async def gone() -> None:
        raise StoreAway("gone")

    with monkeypatch.context() as patched:
        patched.setattr(served.house.store, "check", gone)
        samples = await _samples(beside)
        assert samples["abeyance_store_up"] == 0
        assert samples["abeyance_requests_pending"] != samples["abeyance_requests_pending"], "NaN"
        assert (await beside.get("/readyz")).status == 503
        assert (await beside.get("/readyz")).json["checks"] == {"store": "away"}
        assert (await beside.get("/livez")).status == 200
    assert (await _samples(beside))["abeyance_store_up"] == 1
    assert (await beside.get("/readyz")).status == 200


@covers("SEC-OPS-17", "OAUTH-DEFER-08", "EXT-NOTE-09")
async def test_what_waits_and_what_was_decided_can_be_watched(served: Served) -> None:
    beside = _opened(served)
    code, other = await served.s1.defer(), await served.s1.defer(scope="write")
    served.clock.move(55)
    assert (await served.s1.poll(code)).error == "authorization_pending"
    samples = await _samples(beside)
    assert samples["abeyance_requests_pending"] == 2
    assert samples["abeyance_oldest_pending_seconds"] == 60
    assert samples['abeyance_requests_total{result="deferred"}'] == 2
    assert samples['abeyance_polls_total{result="pending"}'] == 1
    assert samples["abeyance_token_seconds_count"] == 2, "a pending poll is not timed"
    await served.approve(code)
    await served.deny(other)
    assert "access_token" in (await served.s1.poll(code)).json
    samples = await _samples(beside)
    assert samples["abeyance_requests_pending"] == 0
    assert samples["abeyance_oldest_pending_seconds"] == 0
    assert samples['abeyance_decisions_total{by="reviewer",outcome="approved"}'] == 1
    assert samples['abeyance_decisions_total{by="reviewer",outcome="denied"}'] == 1
    assert samples["abeyance_decision_seconds_count"] == 2
    assert samples["abeyance_decision_seconds_sum"] == 120
    assert samples['abeyance_polls_total{result="redeemed"}'] == 1
    assert samples["abeyance_token_seconds_count"] == 3
    assert samples["abeyance_polls_held"] == 0
    assert samples["abeyance_outbox_lag_seconds"] == 0
    assert any(name.startswith("abeyance_build_info{") for name in samples)


@covers("SEC-OPS-17", "SEC-STORE-05", "OAUTH-LOG-01")
async def test_nothing_that_a_stranger_sends_makes_a_series_or_shows(served: Served) -> None:
    beside = _opened(served)
    code = await served.s1.defer()
    before = await _samples(beside)
    for odd in ("planted-1", "planted-2", "planted-3"):
        await served.get(f"/{odd}")
        await served.send(odd.upper(), "/token")
        await served.post("/token", [("grant_type", odd), ("client_id", odd)])
        await served.s1.post("/token", [("grant_type", odd), ("scope", odd)])
        await served.s1.poll(odd)
    after = await _samples(beside)
    assert set(after) == set(before)
    told = (await beside.get("/metrics")).body.decode()
    for secret in ("planted", "PLANTED", SECRET, code, "s1", "rita"):
        assert not re.search(rf"\b{re.escape(secret)}\b", told), secret


async def test_whoever_looks_often_does_not_make_it_measure_often(served: Served) -> None:
    beside = _opened(served)
    measure, count = served.house.store.measure, 0

    async def counted(**bounds: Any) -> Any:
        nonlocal count
        count += 1
        return await measure(**bounds)

    served.house.store.measure = counted  # type: ignore[method-assign]  # counts, then does it
    for _ in range(20):
        await beside.get("/metrics")
    assert count == 1
    await _samples(beside)
    assert count == 2


def _listens(told: str | None) -> tuple[Listen | None, bool]:
    managed = load_settings(environ={}, flags={"management.listen": told}).management
    return managed.listen, managed.demanded


@covers("SEC-OPS-10")
def test_the_listener_is_of_this_machine_alone_unless_settings_say_otherwise() -> None:
    assert _listens(None) == (Listen("127.0.0.1", 8401), False)
    assert _listens("off") == (None, False)
    assert _listens("127.0.0.1:9400") == (Listen("127.0.0.1", 9400), True)
    wide = load_settings(environ={}, flags={"management.listen": "0.0.0.0:9400"})
    assert [each.key for each in wide.warnings if "metrics" in each.text] == ["management.listen"]
    assert "metrics" not in str(load_settings(environ={}).warnings)
    for wrong in ("127.0.0.1:8400", "everywhere", "127.0.0.1"):
        with pytest.raises(ConfigurationError, match=r"management\.listen"):
            _listens(wrong)


@covers("SEC-OPS-14")
async def test_how_late_the_event_loop_is_can_be_watched(served: Served) -> None:
    beside = _opened(served)
    served.clock.move(BEAT)
    served.clock.move(BEAT + 3)
    samples = await _samples(beside)  # which is 5 s later
    assert samples["abeyance_event_loop_lag_seconds_count"] == 3
    assert samples["abeyance_event_loop_lag_seconds_sum"] == 3 + 5 - BEAT
    assert samples['abeyance_event_loop_lag_seconds_bucket{le="1.0"}'] == 1


@covers("SEC-OPS-14", "SEC-DOS-20")
async def test_who_is_turned_away_is_counted_and_probes_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(tmp_path) as served:
        beside = _opened(served)
        before = (await _samples(beside))["abeyance_unavailable_total"]

        async def gone(*_: object, **__: object) -> None:
            raise StoreAway("gone")

        with monkeypatch.context() as patched:
            for name in ("check", "find_client", "find_session", "apply"):
                patched.setattr(type(served.house.store), name, gone)
            served.clock.move(1)
            for answer in (
                await served.s1.ask(),
                await served.get("/authorize?response_type=code&client_id=s1"),
            ):
                assert (answer.status, answer.header("retry-after")) == (503, "5")
            for path in ("/readyz", "/livez"):
                await served.get(path)
            assert (await beside.get("/readyz")).status == 503
        assert (await _samples(beside))["abeyance_unavailable_total"] == before + 2


@covers("SEC-OPS-14")
@pytest.mark.parametrize("file", ["alerts.yml", "dashboard.json"])
async def test_what_is_watched_is_there_to_be_watched(served: Served, file: str) -> None:
    served.clock.move(5)
    told = (await _opened(served).get("/metrics")).body.decode()
    there = dict(re.findall(r"^# TYPE (\S+) (\S+)$", told, re.MULTILINE))
    text = re.sub(r"^ *#.*", "", (_DEPLOY / file).read_text(), flags=re.MULTILINE)
    names = set(re.findall(r"\b(?:abeyance|process)_\w+", text))
    assert len(names) > 10
    unknown = {each for each in names if each.removesuffix("_bucket") not in there}
    assert unknown == set()
    quantiles = {each.removesuffix("_bucket") for each in names if each.endswith("_bucket")}
    assert {there[each] for each in quantiles} == {"histogram"}
    labels = set(re.findall(r'\b(?:result|outcome|by)="(\w+)"', text))
    assert labels <= {"given_up"}, "a value that no counter has would never be seen"
