"""The client library: asks for a token, hears "not yet", waits, and gets the answer.

    from abeyance.client import Client, ClientSecretBasic, PendingToken, generate_key

    with Client(issuer, "agent", ClientSecretBasic(secret), dpop_key=generate_key()) as client:
        answer = client.request_token(scope="payments:write")
        if isinstance(answer, PendingToken):
            answer.save("agent.pending")  # survives a crash: client.resume("agent.pending")
            answer = answer.wait(on_progress=lambda progress: print(progress.state.value))
        print(answer.scope, "granted;", answer.missing.scope, "not")
        use(answer.access_token.reveal())

`AsyncClient` is the same with `await`. The logic stands once, in generators
that yield what to do (`exchange`); `sync_client` and `async_client` do it.

For people: `authorize_in_browser` (a program), `authorization_request` and
`exchange_code` (a web application), `refresh`; who they are: `identify`, `userinfo`.
For what acts for others: `exchange_token`, `use_assertion`. `TokenSource` keeps and refreshes by
itself, `TokenAuth` puts its token into the requests of an HTTP client.

Source: draft-ietf-oauth-deferred-token-response (rows of the client in
`docs/requirements/dtr.md`), RFC 6749, 7009, 7523, 7636, 8252, 8414, 8628, 8705, 8707, 9207,
9396, 9449, 9728.
"""

from abeyance.client.access import Access
from abeyance.client.async_client import AsyncClient, AsyncPendingToken
from abeyance.client.async_source import AsyncTokenSource
from abeyance.client.authentication import (
    Authentication,
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
    PublicClient,
    TlsClientAuth,
)
from abeyance.client.authorizing import AuthorizationRequest
from abeyance.client.callbacks import Callbacks
from abeyance.client.certificate import ClientCertificate
from abeyance.client.devices import DeviceRequest
from abeyance.client.errors import (
    AccessDenied,
    AlreadyGranted,
    Cancelled,
    CancelNotSupported,
    ClientError,
    DiscoveryFailed,
    Ended,
    Expired,
    ForeignState,
    InvalidGrant,
    MalformedResponse,
    Misconfigured,
    NobodyCame,
    NotIdentified,
    NotOurs,
    PartialGrant,
    ServerRefused,
    StateUnreadable,
    StillPending,
    StopPolling,
    Unavailable,
)
from abeyance.client.exchanging import TypedToken
from abeyance.client.http_auth import TokenAuth
from abeyance.client.identity import Identity
from abeyance.client.keys import generate_key
from abeyance.client.loopback import Loopback
from abeyance.client.metadata import ServerMetadata
from abeyance.client.progress import Progress, Waiting
from abeyance.client.resources import ResourceMetadata, find_resource, find_resource_async
from abeyance.client.sealing import KeyFile, Passphrase, Seal, SealingKey
from abeyance.client.surroundings import Surroundings
from abeyance.client.sync_client import Client, PendingToken
from abeyance.client.sync_source import TokenSource
from abeyance.client.token import OnPartial, Token

__all__ = [
    "Access",
    "AccessDenied",
    "AlreadyGranted",
    "AsyncClient",
    "AsyncPendingToken",
    "AsyncTokenSource",
    "Authentication",
    "AuthorizationRequest",
    "Callbacks",
    "CancelNotSupported",
    "Cancelled",
    "Client",
    "ClientCertificate",
    "ClientError",
    "ClientSecretBasic",
    "ClientSecretPost",
    "DeviceRequest",
    "DiscoveryFailed",
    "Ended",
    "Expired",
    "ForeignState",
    "Identity",
    "InvalidGrant",
    "KeyFile",
    "Loopback",
    "MalformedResponse",
    "Misconfigured",
    "NobodyCame",
    "NotIdentified",
    "NotOurs",
    "OnPartial",
    "PartialGrant",
    "Passphrase",
    "PendingToken",
    "PrivateKeyJwt",
    "Progress",
    "PublicClient",
    "ResourceMetadata",
    "Seal",
    "SealingKey",
    "ServerMetadata",
    "ServerRefused",
    "StateUnreadable",
    "StillPending",
    "StopPolling",
    "Surroundings",
    "TlsClientAuth",
    "Token",
    "TokenAuth",
    "TokenSource",
    "TypedToken",
    "Unavailable",
    "Waiting",
    "find_resource",
    "find_resource_async",
    "generate_key",
]
