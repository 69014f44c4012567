"""Anything at all, sent to every endpoint: an answer, never a fault, nothing changed (T-260)."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abeyance.wire import names
from tests.config import CONFIG
from tests.covers import covers
from tests.served import Served, serve

PATHS = [
    "/token", "/revoke", "/par", "/challenge", "/jwks", "/livez", "/readyz",
    "/.well-known/oauth-authorization-server",
    "/console", "/console/", "/sign-in", "/console/requests/x", "/welcome/x",
    "/console/requests/x/vote", "/console/requests/x/less", "/console/requests/x/live",
    f"/console/requests/{'0' * 32}.1/vote", "/console/live", "/sign-out",
    "/static/x",
    "/", "/x", "/token/", "//token", "/console/../token",
]  # fmt: skip
FORMS = ["/token", "/revoke", "/par", "/challenge"]
KNOWN = sorted({each for each in vars(names).values() if isinstance(each, str)} - {names.__doc__})
TEXT = st.text(max_size=40) | st.sampled_from(KNOWN)
FORM = st.lists(st.tuples(TEXT, TEXT), max_size=12)
HEADER_NAMES = st.sampled_from(
    ["authorization", "dpop", "content-type", "content-encoding", "cookie", "origin", "prefer",
     "x-request-id", "sec-fetch-site", "host", "x-forwarded-for"]
)  # fmt: skip
HEADERS = st.lists(
    st.tuples(HEADER_NAMES, st.text(st.characters(max_codepoint=255), max_size=60)), max_size=5
)
RELAXED = settings(
    max_examples=max(150, int(os.environ.get("EXAMPLES", "0"))),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)


@pytest.fixture
async def fuzzed(tmp_path: Path) -> Any:
    config = "first_party_apps = true\n" + CONFIG
    async with serve(tmp_path, config=config) as served:
        yield served


@covers("T-260", "SEC-TOK-14", "T-208", "T-214", "OAUTH-HTTP-02", "OAUTH-HTTP-05")
@RELAXED
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "X"]),
    path=st.sampled_from(PATHS),
    query=st.binary(max_size=30),
    headers=HEADERS,
    body=st.binary(max_size=300),
)
async def test_no_request_is_a_fault(
    fuzzed: Served,
    method: str,
    path: str,
    query: bytes,
    headers: list[tuple[str, str]],
    body: bytes,
) -> None:
    target = path + ("?" + query.decode("latin-1") if query else "")
    answer = await fuzzed.send(
        method, target.encode("latin-1", "ignore").decode("latin-1"), body=body, headers=headers
    )
    assert answer.status < 500
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.header("cache-control") in ("no-store", "public, max-age=300")
    assert await opened(fuzzed) == 0


@covers("T-260", "OAUTH-PARAM-04", "OAUTH-PARAM-07")
@RELAXED
@given(form=FORM, path=st.sampled_from(FORMS), known=st.booleans())
async def test_no_form_is_a_fault_and_none_without_authentication_changes_anything(
    fuzzed: Served, form: list[tuple[str, str]], path: str, known: bool
) -> None:
    fuzzed.clock.move(60)
    code = await fuzzed.c1.defer()
    before = await fuzzed.held(code)
    answer = await (fuzzed.s1.post(path, form) if known else fuzzed.post(path, form))
    assert answer.status in ((200, 400, 401) if known else (400, 401, 429))
    assert answer.header("content-type") == "application/json"
    assert await fuzzed.held(code) == before
    await fuzzed.c1.revoke(code)


async def opened(served: Served) -> int:
    people = await served.house.store.list_people()
    return sum(
        [
            await served.house.store.count_waiting(each.id, now=served.clock.now(), at_most=10)
            for each in people
        ]
    )
