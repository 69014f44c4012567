"""What a resource server says about itself, and whom it trusts to issue tokens (RFC 9728).

It is believed for the resource that was asked for alone, and only where both sides name each
other: a resource that sends a client to another server, or a server to which somebody else's
resource points, gets no request (RFC 9728 §3.3, §7.3; OAUTH-PRM-04, -05).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2

from abeyance.client import answers
from abeyance.client.addresses import (
    BadAddress,
    check_issuer,
    is_cleartext,
    resource_metadata_url,
)
from abeyance.client.errors import DiscoveryFailed, Misconfigured, Unavailable
from abeyance.client.exchange import Flow, Received, Send, Unanswered, send
from abeyance.client.link import COMMON, Link
from abeyance.client.metadata import texts
from abeyance.client.surroundings import Surroundings
from abeyance.client.transport import (
    make_async_client,
    make_client,
    perform,
    perform_async,
)

_BUSY: Final = 429
_FAULT: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceMetadata:
    """Of one resource, by its identifier, which is the `resource` to ask a token for.

    `issuers`: the servers that it names, in its order, each a URL that may be talked to; empty
    if it names none. `other`: every member as it came, which nothing is read of by itself.
    """

    resource: str
    issuers: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()
    requires_dpop: bool = False
    binds_certificates: bool = False
    other: Mapping[str, Any] = field(default_factory=dict, repr=False)


def find_resource(resource: str, *, http: httpx2.Client | None = None) -> ResourceMetadata:
    """Ask a resource about itself: where to begin, if its server is not known yet.

    `http`: an HTTP client of the caller's. A `Client` for one of the `issuers` then refuses a
    server that calls itself otherwise. Raises `Misconfigured` for what is no resource
    identifier, `DiscoveryFailed`, `Unavailable`.
    """
    step = _request(resource)
    if http is not None:
        return _read(resource, perform(http, step), Surroundings())
    with make_client(cleartext=is_cleartext(resource)) as own:
        return _read(resource, perform(own, step), Surroundings())


async def find_resource_async(
    resource: str, *, http: httpx2.AsyncClient | None = None
) -> ResourceMetadata:
    """As `find_resource`."""
    step = _request(resource)
    if http is not None:
        return _read(resource, await perform_async(http, step), Surroundings())
    async with make_async_client(cleartext=is_cleartext(resource)) as own:
        return _read(resource, await perform_async(own, step), Surroundings())


def ask_resource(link: Link, resource: str) -> Flow[ResourceMetadata]:
    """As `find_resource`, for a client that has its server: each must know the other.

    Raises `DiscoveryFailed` if the resource lists servers without this one, or the server
    lists resources without this one.
    """
    reply = yield from send(_request(resource))
    told = _read(resource, reply, link.surroundings)
    if told.issuers and link.issuer not in told.issuers:
        raise DiscoveryFailed("The resource does not take tokens of this server")
    metadata = yield from link.discover()
    listed = metadata.protected_resources
    if listed is not None and resource not in listed:
        raise DiscoveryFailed("The server does not know this resource")
    return told


def _request(resource: str) -> Send:
    try:
        return Send("GET", resource_metadata_url(resource), COMMON)
    except BadAddress as bad:
        raise Misconfigured(f"The resource cannot be used: {bad}") from None


def _read(
    resource: str, reply: Received | Unanswered, surroundings: Surroundings
) -> ResourceMetadata:
    if isinstance(reply, Unanswered):
        raise Unavailable(reply.why)
    if reply.status == _BUSY or reply.status >= _FAULT:
        wait = answers.retry_after(reply, surroundings.now())
        raise Unavailable("the resource's metadata cannot be had", retry_after=wait)
    members = answers.parse_members(reply.body) if reply.status == 200 else None
    if members is None:
        raise DiscoveryFailed("The resource publishes no metadata")
    # Exactly equal, or one resource speaks in another's name (RFC 9728 §3.3).
    if members.get("resource") != resource:
        raise DiscoveryFailed("The metadata is of another resource")
    return ResourceMetadata(
        resource=resource,
        issuers=_issuers(members.get("authorization_servers"), resource),
        scopes=texts(members.get("scopes_supported")),
        requires_dpop=members.get("dpop_bound_access_tokens_required") is True,
        binds_certificates=members.get("tls_client_certificate_bound_access_tokens") is True,
        other=members,
    )


def _issuers(listed: Any, resource: str) -> tuple[str, ...]:
    """In the resource's order of preference."""
    if listed is None:
        return ()
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise DiscoveryFailed("The resource's authorization_servers are not a list of URLs")
    try:
        for each in listed:
            check_issuer(each)
            # A document that came under TLS must not lead to a server without it.
            if is_cleartext(each) and not is_cleartext(resource):
                raise BadAddress("an https resource has only https servers")
    except BadAddress as bad:
        raise DiscoveryFailed(f"A server that the resource names cannot be used: {bad}") from None
    return tuple(listed)
