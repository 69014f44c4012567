"""Nobody who registers by themselves makes this server lead people elsewhere (RFC 9700 §4.11.2)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.console.house import PageSeen
from tests.covers import covers
from tests.outside import Network
from tests.people.house import Flow, Public, back_at_client, open_people, web
from tests.served import Served

DOCUMENT: Final = "https://app.example.com/client"
BACK: Final = "https://app.example.com/back"
EVIL: Final = "https://evil.example/land"
TABLE: Final = """
[registration]
enabled = true
open = true
scope = ["read", "now"]
resources = ["https://ledger.example"]
document_hosts = ["app.example.com"]
"""


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    network = Network()
    network.serves(DOCUMENT, {"client_id": DOCUMENT, "client_name": "App", "redirect_uris": [BACK]})
    async with open_people(tmp_path, extra=TABLE, outside=network) as running:
        yield running


async def registered(served: Served) -> Flow:
    body = f'{{"redirect_uris": ["{EVIL}"], "token_endpoint_auth_method": "none"}}'
    answer = await served.send(
        "POST", "/register", body=body.encode(), headers=[("content-type", "application/json")]
    )
    assert answer.status == 201, answer.body
    return Flow(Public(served, answer.json["client_id"]))


def stays(page: PageSeen) -> bool:
    """The browser stays here, and no script sends it on."""
    return (
        page.answer.status == 400
        and page.answer.header("location") is None
        and "form-post.js" not in page.text
        and "refresh" not in page.answer.body.decode()
    )


WRONG: Final[list[dict[str, Any]]] = [
    {"scope": "admin"},
    {"response_type": "token"},
    {"code_challenge": None},
    {"request": "a.b.c"},
    {"request_uri": "https://evil.example/object"},
    {"prompt": "none login"},
]


@covers("OAUTH-DEC-16", "OAUTH-AUTHZ-06")
@pytest.mark.parametrize("changes", WRONG, ids=str)
async def test_a_request_that_is_wrong_leads_nobody_away_by_itself(
    served: Served, changes: dict[str, Any]
) -> None:
    described = Flow(Public(served, DOCUMENT))
    for flow, uri in ((await registered(served), EVIL), (described, BACK)):
        page = await flow.visit(redirect_uri=uri, **changes)
        assert stays(page), page.text
        host = uri.split("/")[2]
        assert host in page.text
        [link] = [each for each in page.links if each.startswith(uri)]
        assert "error=" in link
        posted = await flow.visit(redirect_uri=uri, response_mode="form_post", **changes)
        assert stays(posted), posted.text
        if "response_mode" not in changes:
            form = posted.form(uri)
            assert {"error", "state", "iss"} <= form.fields.keys()


@covers("OAUTH-DEC-16", "OAUTH-OIDC-05")
async def test_no_page_is_shown_to_whoever_wants_none(served: Served) -> None:
    flow = await registered(served)
    back = back_at_client(await flow.visit(redirect_uri=EVIL, scope="admin", prompt="none"))
    assert (back["error"], back["state"]) == ("invalid_scope", "xyz")


@covers("OAUTH-DEC-16")
async def test_whoever_was_looked_at_is_told_at_once(served: Served) -> None:
    back = back_at_client(await Flow(web(served)).visit(scope="admin"))
    assert back["error"] == "invalid_scope"


@covers("OAUTH-DEC-16", "OAUTH-AUTHZ-07")
async def test_what_is_right_leads_away_only_after_its_person_has_answered(
    served: Served,
) -> None:
    flow = await registered(served)
    page = await flow.visit(redirect_uri=EVIL, scope="now")
    assert "nobody here has looked at it" in page.text
    assert back_at_client(await flow.answer(page, "decline"))["error"] == "access_denied"
