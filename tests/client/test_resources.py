"""Whom a resource and a server name: each must be the one that was asked for."""

import asyncio
from typing import Any

import httpx2
import pytest

from abeyance.client import (
    DiscoveryFailed,
    Misconfigured,
    ResourceMetadata,
    Unavailable,
    find_resource,
    find_resource_async,
)
from abeyance.resource import ProtectedResource
from tests.client.fakes import ISSUER, Kit, answer, cut
from tests.covers import covers

RESOURCE = "https://api.test/payments"
PLACE = "/.well-known/oauth-protected-resource/payments"


def describe(kit: Kit, place: str = PLACE, status: int = 200, **members: Any) -> None:
    told = {"resource": RESOURCE, "authorization_servers": [ISSUER]} | members
    kit.server.documents[place] = answer(
        {name: value for name, value in told.items() if value is not None}, status=status
    )


def ask(kit: Kit, resource: str = RESOURCE) -> ResourceMetadata:
    found: ResourceMetadata = kit.run(kit.client().resource_metadata(resource))
    return found


def find(kit: Kit, resource: str = RESOURCE) -> ResourceMetadata:
    """Without a server, as whoever knows the resource alone."""
    transport = httpx2.MockTransport(kit.server)
    if kit.kind == "sync":
        return find_resource(resource, http=httpx2.Client(transport=transport))
    found: ResourceMetadata = kit.run(
        find_resource_async(resource, http=httpx2.AsyncClient(transport=transport))
    )
    return found


@covers("OAUTH-PRM-04")
def test_a_resource_tells_whose_tokens_it_takes_and_what_they_need(kit: Kit) -> None:
    describe(
        kit,
        scopes_supported=["pay"],
        dpop_bound_access_tokens_required=True,
        tls_client_certificate_bound_access_tokens=True,
        resource_name="Payments",
    )
    for told in (ask(kit), find(kit)):
        assert told.resource == RESOURCE
        assert told.issuers == (ISSUER,)
        assert told.scopes == {"pay"}
        assert told.requires_dpop
        assert told.binds_certificates
        assert told.other["resource_name"] == "Payments"


@covers("OAUTH-PRM-04")
@pytest.mark.parametrize(
    "other",
    [
        "https://api.test/payments/",
        "https://api.test",
        "https://evil.test/payments",
        "HTTPS://api.test/payments",
        None,
        [RESOURCE],
    ],
)
def test_metadata_of_another_resource_is_refused(kit: Kit, other: Any) -> None:
    describe(kit, resource=other)
    for way in (ask, find):
        with pytest.raises(DiscoveryFailed, match="another resource"):
            way(kit)


@covers("OAUTH-PRM-04")
@pytest.mark.parametrize("listed", [["https://other.test"], [f"{ISSUER}/"], [f"{ISSUER}/tenant"]])
def test_a_resource_that_names_another_server_is_refused(kit: Kit, listed: list[str]) -> None:
    describe(kit, authorization_servers=listed)
    with pytest.raises(DiscoveryFailed, match="does not take tokens of this server"):
        ask(kit)
    assert find(kit).issuers == tuple(listed)


@covers("OAUTH-PRM-04")
def test_a_server_that_calls_itself_otherwise_than_the_resource_is_refused(kit: Kit) -> None:
    describe(kit, authorization_servers=["https://as.test/tenant"])
    [issuer] = find(kit).issuers
    with pytest.raises(DiscoveryFailed, match="another issuer"):
        kit.run(kit.client(issuer).request_token(defer=False))
    assert kit.server.token_requests == []


@covers("OAUTH-PRM-05")
def test_where_the_server_lists_resources_this_one_is_among_them(kit: Kit) -> None:
    describe(kit)
    assert ask(kit).resource == RESOURCE
    kit.server.metadata["protected_resources"] = ["https://api.test", RESOURCE]
    assert ask(kit).resource == RESOURCE
    nothing_fitting: list[Any] = [["https://api.test"], [], "https://api.test/payments"]
    for listed in nothing_fitting:
        kit.server.metadata["protected_resources"] = listed
        with pytest.raises(DiscoveryFailed, match="does not know this resource"):
            ask(kit)


def test_a_resource_may_name_no_server(kit: Kit) -> None:
    describe(kit, authorization_servers=None)
    assert ask(kit).issuers == ()


@pytest.mark.parametrize("listed", [ISSUER, [1], ["http://as.test"], ["https://a@as.test"], [""]])
def test_servers_that_must_not_be_talked_to_are_refused(kit: Kit, listed: Any) -> None:
    describe(kit, authorization_servers=listed)
    for way in (ask, find):
        with pytest.raises(DiscoveryFailed):
            way(kit)


@covers("OAUTH-PRM-01")
@pytest.mark.parametrize(
    "resource",
    [
        "https://api.test",
        "https://api.test/",
        "https://api.test/payments",
        "https://api.test/payments/",
        "https://api.test/payments?tenant=1",
        "https://api.test/?tenant=1",
    ],
)
def test_it_is_asked_where_our_own_resource_servers_answer(sync_kit: Kit, resource: str) -> None:
    asked = []

    def take(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.raw_path.decode())
        return httpx2.Response(200, json={"resource": resource})

    find_resource(resource, http=httpx2.Client(transport=httpx2.MockTransport(take)))
    described = ProtectedResource(identifier=resource, issuers=(ISSUER,))
    assert asked == [described.metadata_path]


@pytest.mark.parametrize("resource", ["api.test", "http://api.test", "https://api.test#x", ""])
def test_what_is_no_resource_is_not_asked(kit: Kit, resource: str) -> None:
    for way in (ask, find):
        with pytest.raises(Misconfigured):
            way(kit, resource)
    assert kit.server.seen == []


def test_a_resource_that_does_not_answer_is_told_apart_from_one_that_says_nothing(
    kit: Kit,
) -> None:
    for way in (ask, find):
        kit.server.documents = {PLACE: cut}
        with pytest.raises(Unavailable):
            way(kit)
        describe(kit, status=503)
        with pytest.raises(Unavailable):
            way(kit)
        kit.server.documents = {}
        with pytest.raises(DiscoveryFailed):
            way(kit)
        kit.server.documents = {PLACE: answer(b"[]", status=200)}
        with pytest.raises(DiscoveryFailed):
            way(kit)


def test_without_a_client_of_the_callers_the_library_makes_its_own() -> None:
    nobody = "http://127.0.0.1:9"  # where nothing listens
    with pytest.raises(Unavailable):
        find_resource(nobody)
    with pytest.raises(Unavailable):
        asyncio.run(find_resource_async(nobody))
