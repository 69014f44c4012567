"""Traces: what stands in a span, and how a redemption names the request that began it."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from abeyance.server import app, tracing
from abeyance.server.settings import ConfigurationError
from abeyance.store.ports import StoreAway
from tests.config import CONFIG, SECRET
from tests.covers import covers
from tests.logged import written
from tests.served import Served, serve

_TRACED: Final = CONFIG.replace("[server]\n", "[server]\ntracing = true\n")
_PROXIED: Final = _TRACED.replace(
    "tracing = true\n", 'tracing = true\ntrusted_proxies = ["192.0.2.1"]\n'
)
_STRANGER: Final = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"


class Kept(InMemorySpanExporter):
    """Goes on when one of the servers that it is shared by has closed it."""

    def shutdown(self) -> None:
        pass


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What would be exported."""
    exporter = Kept()

    def opened(trusted: object) -> tracing.Tracing:
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        return tracing.Tracing(provider, trusted)  # type: ignore[arg-type]

    monkeypatch.setattr(app, "open_tracing", opened)
    return exporter


@asynccontextmanager
async def _traced(folder: Path, config: str = _TRACED) -> AsyncIterator[Served]:
    async with serve(folder, config=config) as served:
        yield served


def _last(spans: InMemorySpanExporter) -> ReadableSpan:
    return spans.get_finished_spans()[-1]


@covers("SEC-OPS-18")
async def test_a_redemption_links_to_the_request_that_began_it_in_another_process(
    tmp_path: Path, spans: InMemorySpanExporter
) -> None:
    async with _traced(tmp_path) as served:
        code = await served.s1.defer()
        first = _last(spans).context
        assert (await served.s1.poll(code)).error == "authorization_pending"
        assert not _last(spans).links
        await served.approve(code)
        clock = served.clock
    async with serve(tmp_path, config=_TRACED, clock=clock) as served:
        served.clock.move(600)
        assert "access_token" in (await served.s1.poll(code)).json
        [link] = _last(spans).links
    assert first is not None
    assert (link.context.trace_id, link.context.span_id) == (first.trace_id, first.span_id)
    redeemed = _last(spans).context
    assert redeemed is not None
    assert redeemed.trace_id != first.trace_id, "two traces, not one of days"


@covers("SEC-OPS-18", "DTR-OK-03")
async def test_a_link_that_cannot_be_read_costs_no_token(
    tmp_path: Path, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> object:
        raise StoreAway("now")

    async with _traced(tmp_path) as served:
        code = await served.s1.defer()
        await served.approve(code)
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(served.house.store, "find_events", away)
            assert (await served.s1.poll(code)).status == 503
        served.clock.move(5)
        assert "access_token" in (await served.s1.poll(code)).json
        assert _last(spans).links


@covers("SEC-OPS-18", "SEC-STORE-05", "OAUTH-LOG-01", "T-222")
async def test_a_span_says_where_and_how_it_ended_and_nothing_that_was_sent(
    tmp_path: Path, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _traced(tmp_path) as served:
        code = await served.s1.defer()
        await served.s1.poll(code)
        assert _last(spans).name == "POST /token"
        assert dict(_last(spans).attributes or {}) == {
            "http.request.method": "POST",
            "http.route": "/token",
            "http.response.status_code": 400,
        }
        await served.get(f"/token?client_secret={SECRET}")
        await served.get(f"/welcome/{code}")
        assert _last(spans).name == "GET /welcome"
        await served.get(f"/{code}")
        assert _last(spans).name == "GET"
        await served.send("PLANTED", "/token", headers=[("cookie", SECRET)])
        assert _last(spans).name == "_OTHER /token"
        await served.get("/console/", [("authorization", f"Bearer {SECRET}")])
        await served.approve(code)
        token = (await served.s1.poll(code)).json["access_token"]

        async def gone(*_: object) -> None:
            raise StoreAway(SECRET)

        with monkeypatch.context() as patched:
            patched.setattr(served.house.store, "find_held", gone)
            assert (await served.s1.poll(code)).status == 503
        assert (_last(spans).attributes or {})["error.type"] == "503"
    told = "".join(span.to_json() for span in spans.get_finished_spans())
    for planted in (SECRET, code, code[:16], token, "PLANTED", '"s1"', "192.0.2.1"):
        assert planted not in told


async def test_the_log_names_the_trace(
    tmp_path: Path, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _traced(tmp_path) as served:
        with written(monkeypatch, "json") as out:
            await served.post("/token", [("client_id", "x"), ("client_secret", "y")])
        [line] = [json.loads(each) for each in out.getvalue().splitlines()]
        context = _last(spans).context
        assert context is not None
        assert line["trace_id"] == f"{context.trace_id:032x}"


@covers("SEC-OPS-18")
async def test_only_a_trusted_proxy_has_its_trace_continued(
    tmp_path: Path, spans: InMemorySpanExporter
) -> None:
    sent = [("traceparent", _STRANGER), ("tracestate", "x=planted")]
    async with _traced(tmp_path / "a") as served:
        await served.get("/jwks", sent)
        assert _last(spans).parent is None
        assert "planted" not in _last(spans).to_json()
    async with _traced(tmp_path / "b", _PROXIED) as served:
        await served.get("/jwks", sent)
        parent = _last(spans).parent
        assert parent is not None
        assert f"{parent.trace_id:032x}" == "ab" * 16
        for broken in ("", "00-zz", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"):
            assert (await served.get("/jwks", [("traceparent", broken)])).status == 200
            assert _last(spans).parent is None


@covers("SEC-OPS-18")
async def test_without_tracing_nothing_is_written_and_nothing_read(served: Served) -> None:
    held = await served.held(await served.s1.defer())
    events = await served.house.store.find_events(held.key)
    assert all("trace" not in event.detail for event in events)
    assert served.house.traces is None


async def test_tracing_without_its_packages_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigurationError, match=r"abeyance\[server,otel\]"):
        tracing.open_tracing(())
