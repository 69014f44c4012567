"""A server that signs people in for clients: OpenID Connect is on, and a few clients speak it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from abeyance.proofs.dpop import make_proof
from abeyance.proofs.jwk import KeyPair, KeySet, parse_jwks
from abeyance.proofs.jws import verify_jws
from abeyance.server.pages.host import HostPeople
from abeyance.wire.base64url import parse_base64url
from abeyance.wire.secret import Secret
from abeyance.wire.strict_json import parse_json_object
from tests.answer import Answer
from tests.people.house import CONFIG as PEOPLE
from tests.people.house import ISSUER, open_people
from tests.served import Served

USERINFO: Final = f"{ISSUER}/userinfo"
LEDGER: Final = "https://ledger.example"
ACR: Final = "urn:example:acr:password"

_CLIENT: Final = """
[[clients]]
id = "{id}"
name = "The {id}"
secret_file = "{data}/s1.secret"
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["https://{id}.example/cb"]
scope = ["openid", "profile", "email", "offline_access", "now", "read", "sure"]
resources = ["https://ledger.example"]
{more}
"""


def client(name: str, more: str = "") -> str:
    return _CLIENT.replace("{id}", name).replace("{more}", more)


CONFIG: Final = (
    PEOPLE.replace(
        'name = "Uma Underwood"',
        'name = "Uma Underwood"\nemail = "uma@example.com"\nemail_verified = true',
    ).replace(
        '[[rules]]\nname = "never"',
        '[[rules]]\nname = "sign-in"\n'
        "when = \"scope.all(s, s in ['openid', 'profile', 'email', 'offline_access'])\"\n"
        'then = "issue"\n\n[[rules]]\nname = "never"',
        1,
    )
    + client("rp", 'id_token_signed_response_alg = "ES256"')
    + client("edwards", 'id_token_signed_response_alg = "EdDSA"')
    + client("old", 'id_token_signed_response_alg = "ES256"\npkce_optional = true')
    + """
[[clients]]
id = "pocket"
name = "Pocket"
token_endpoint_auth_method = "none"
application_type = "native"
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["com.example.rp:/cb"]
scope = ["openid", "profile", "now", "read"]
resources = ["https://ledger.example"]
id_token_signed_response_alg = "ES256"

[openid]
enabled = true
signing_algorithms = {algorithms}
acr = "urn:example:acr:password"
"""
)


@asynccontextmanager
async def open_provider(
    folder: Path,
    *,
    issuer: str = ISSUER,
    algorithms: Sequence[str] = ("ES256", "EdDSA"),
    more: str = "",
    extra: str = "",
    people: HostPeople | None = None,
) -> AsyncIterator[Served]:
    named = "[" + ", ".join(f'"{each}"' for each in algorithms) + "]"
    text = CONFIG.replace("{algorithms}", named) + more
    async with open_people(
        folder, issuer=issuer, config=text, extra=extra, people=people
    ) as served:
        yield served


async def keys_of(served: Served) -> KeySet:
    return parse_jwks((await served.get("/jwks")).json)


async def id_claims(served: Served, answer: Answer) -> Mapping[str, Any]:
    """The claims of the ID token in this answer, its signature verified by the published keys."""
    compact = answer.json["id_token"]
    return verify_jws(
        compact,
        algorithms=frozenset({"ES256", "EdDSA", "RS256", "PS256"}),
        typ=frozenset({"jwt"}),
        keys=await keys_of(served),
    )


def header_of(compact: str) -> Mapping[str, Any]:
    return parse_json_object(parse_base64url(compact.split(".")[0]))


async def userinfo(
    served: Served,
    token: str,
    *,
    method: str = "GET",
    scheme: str = "Bearer",
    key: KeyPair | None = None,
    url: str = USERINFO,
    headers: Sequence[tuple[str, str]] = (),
) -> Answer:
    fields = [("authorization", f"{scheme} {token}"), *headers]
    if key is not None:
        proof = make_proof(
            key,
            method=method,
            url=url,
            now=served.clock.now(),
            jti=f"userinfo-{next(_COUNT)}",
            access_token=Secret(token),
        )
        fields.append(("dpop", proof))
    return await served.send(method, "/userinfo", headers=fields)


_COUNT = iter(range(1_000_000))
