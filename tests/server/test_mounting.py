"""The server below a path of somebody else's application, as docs/embedding.md says."""

import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from tests.config import CONFIG
from tests.covers import covers
from tests.served import Served, serve

ISSUER = "https://as.example/as"


@covers("OAUTH-HTTP-01", "T-206", "OAUTH-META-01", "OAUTH-ISS-03")
async def test_a_mounted_server_works_below_its_path(tmp_path: Path) -> None:
    config = CONFIG.replace('"https://as.example"', f'"{ISSUER}"')
    async with serve(tmp_path, config=config) as served:
        host = Served(_host(served.app), served.house, served.clock, served.keys)  # type: ignore[arg-type]
        inserted = await host.get("/.well-known/oauth-authorization-server/as")
        below = await host.get("/as/.well-known/oauth-authorization-server")
        assert inserted.json == below.json
        assert inserted.json["issuer"] == ISSUER
        assert inserted.json["token_endpoint"] == ISSUER + "/token"
        assert (await host.get("/")).body == b"shop"
        _, headers = served.s1.credentials()
        form = [("grant_type", "client_credentials"), ("scope", "now")]
        token = await host.post("/as/token", form, headers=headers)
        assert token.status == 200
        assert token.claims()["iss"] == ISSUER
        assert (await host.post("/token", form, headers=headers)).status == 404
        signing_in = await host.get("/as/sign-in")
        assert signing_in.status == 200
        places = re.findall(rb'(?:href|src|action)="([^"#]+)"', signing_in.body)
        assert b"/as/sign-in" in places
        assert all(place.startswith(b"/as/") for place in places)
        # Alone, below the same issuer, the paths are the same.
        assert (await served.post("/as/token", form, headers=headers)).status == 200


def _host(abeyance: Any) -> Starlette:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> Any:
        yield

    async def shop(_request: Any) -> PlainTextResponse:
        return PlainTextResponse("shop")

    return Starlette(
        routes=[
            Route("/", shop),
            Mount("/as", abeyance),
            Route("/.well-known/oauth-authorization-server/as", abeyance),
        ],
        lifespan=lifespan,
    )


@covers(
    "OAUTH-META-01",
    "OAUTH-META-06",
    "OAUTH-HTTP-03",
    "OAUTH-HTTP-09",
    "OAUTH-HTTP-10",
    "SEC-OPS-09",
    "SEC-OPS-10",
)
async def test_documents_and_probes_say_what_they_must_and_no_more(tmp_path: Path) -> None:
    async with serve(tmp_path) as served:
        for path in ("/.well-known/oauth-authorization-server", "/jwks"):
            got = await served.get(path)
            assert got.header("access-control-allow-origin") == "*"
            assert got.header("cache-control") == "public, max-age=300"
            etag = got.header("etag")
            assert etag is not None
            assert (await served.get(path, [("if-none-match", etag)])).status == 304
            posted = await served.post(path, [])
            assert (posted.status, posted.header("allow")) == (405, "GET, HEAD")
        [key] = (await served.get("/jwks")).json["keys"]
        assert (key["use"], key["alg"], "d" in key) == ("sig", "ES256", False)
        assert (await served.get("/livez")).json == {"status": "ok"}
        assert (await served.get("/readyz")).status == 200
        for path in ("/docs", "/openapi.json", "/metrics", "/.env", "/x"):
            missing = await served.get(path)
            assert missing.status == 404
            assert missing.header("strict-transport-security") is not None
            assert missing.header("x-request-id") is not None
        echoed = await served.get("/livez", [("x-request-id", "abc-1")])
        assert echoed.header("x-request-id") == "abc-1"
        forged = await served.get("/livez", [("x-request-id", "a b\x7f")])
        assert forged.header("x-request-id") != "a b\x7f"
