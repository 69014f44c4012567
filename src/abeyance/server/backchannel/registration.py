"""Client registration and its management (RFC 7591, 7592; OAUTH-DCR).

One address: without a query clients register there, with their `client_id` in it they see to
what they have registered. Off unless the operator has switched it on.
"""

import hmac
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl

from abeyance.acts import dispose
from abeyance.acts.house import House
from abeyance.faces import render_error
from abeyance.oauth.registration import read_metadata
from abeyance.parties.client import Client, ClientId
from abeyance.parties.registration import Registration
from abeyance.server import http
from abeyance.server.registering import has_secret, read_registered, told_of
from abeyance.server.settings_parties import Known
from abeyance.server.settings_registration import RegistrationTerms
from abeyance.store.ports import Registered, SecurityEvent, StoreAway
from abeyance.volatile.customers import find_customer
from abeyance.wire import names
from abeyance.wire.base64url import render_base64url
from abeyance.wire.errors import (
    EncodedBody,
    InvalidClientMetadata,
    InvalidRequest,
    OAuthError,
    ServerError,
    TooManyRequests,
    Unavailable,
    WrongMethod,
)
from abeyance.wire.reply import Reply, header, render_json
from abeyance.wire.secret import Secret
from abeyance.wire.strict_json import Json, JsonObject, NotStrictJson, parse_json_object

_SECRET_BYTES: Final = 32
_ID_BYTES: Final = 16
_MANAGE: Final = ("GET", "PUT", "DELETE")
_NOBODY: Final = bytes(32)
# What the server says and a client must not say back (RFC 7592 §2.2).
_OURS: Final = frozenset(
    {
        "registration_access_token",
        "registration_client_uri",
        "client_secret_expires_at",
        "client_id_issued_at",
    }
)


class NotAdmitted(Exception):
    """No token, or one that is not good for this. One answer for every reason (OAUTH-DCR-10)."""

    def __init__(self, *, shown: bool) -> None:
        super().__init__("not admitted")
        self.shown = shown


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request after transport checks; `body` is empty but for POST and PUT."""

    token: Secret | None
    body: JsonObject
    address: str


class RegistrationEndpoint:
    """`known`: what a registered client may refer to, as one that is declared."""

    def __init__(self, house: House, known: Known, terms: RegistrationTerms) -> None:
        self._house = house
        self._known = known
        self._terms = terms
        self._fixed = http.json_fields(https=house.endpoints.issuer.startswith("https:"))

    async def __call__(self, scope: http.Scope, receive: http.Receive, send: http.Send) -> None:
        try:
            reply = await self._answer(scope, receive)
        except NotAdmitted as refused:
            reply = _refuse(refused)
        except OAuthError as error:
            reply = render_error(error)
        except StoreAway:
            reply = render_error(Unavailable())
        except http.Disconnected:
            return
        except Exception as fault:
            http.log_fault(fault)
            reply = render_error(ServerError())
        await http.send_reply(scope, send, reply, self._fixed)

    async def _answer(self, scope: http.Scope, receive: http.Receive) -> Reply:
        method, client = scope["method"], _named(scope["query_string"])
        if client is None and method != "POST":
            raise WrongMethod("POST")
        if client is not None and method not in _MANAGE:
            raise WrongMethod(", ".join(_MANAGE))
        asked = await _read(scope, receive, with_body=method in ("POST", "PUT"))
        if client is None:
            return await self._register(asked)
        present, registration, token = await self._admit(client, asked, ending=method == "DELETE")
        match method:
            case "GET":
                return self._tell(present, registration, token)
            case "PUT":
                return await self._change(present, registration, token, asked.body)
            case _:
                return await self._end(present)

    async def _register(self, asked: _Asked) -> Reply:
        house, terms, tick = self._house, self._terms, self._house.clock.tick()
        if wait := house.limits.registrations.take(find_customer(asked.address), tick):
            raise TooManyRequests("Too many registrations come from this address", wait)
        if asked.token is None and not terms.open:
            raise NotAdmitted(shown=False)
        if asked.token is not None and not await self._is_good(asked.token):
            raise NotAdmitted(shown=True)
        metadata = read_metadata(asked.body, terms.offered)
        secret = self._new_secret() if has_secret(metadata) else None
        client = await read_registered(
            house,
            self._known,
            metadata,
            terms.offered,
            client=ClientId(house.random(_ID_BYTES).hex()),
            digests=() if secret is None else (secret.digest(),),
        )
        token = self._new_secret()
        registration = Registration(
            client=client.id,
            token=token.digest(),
            registered_at=house.clock.now(),
            metadata=told_of(client, metadata),
        )
        became = await house.store.register(
            client,
            registration,
            initial=None if asked.token is None else asked.token.digest(),
            most=terms.most_clients,
            now=house.clock.now(),
        )
        match became:
            case Registered.NO_TOKEN:
                raise NotAdmitted(shown=True)
            case Registered.FULL:
                raise TooManyRequests("No more clients may register at the moment", 3600)
            case Registered.TAKEN:
                raise Unavailable
            case Registered.DONE:
                await self._note("client_registered", client)
                return self._tell(client, registration, token, secret=secret, status=201)

    async def _is_good(self, token: Secret) -> bool:
        """Before anything is looked up for it; it is used up with the registration."""
        known = await self._house.store.list_initial_tokens(now=self._house.clock.now())
        return any(token.matches(each.digest) and each.left > 0 for each in known)

    async def _admit(
        self, client: ClientId, asked: _Asked, *, ending: bool
    ) -> tuple[Client, Registration, Secret]:
        """`ending`: also what an administrator has disabled may go."""
        if asked.token is None:
            raise NotAdmitted(shown=False)
        registration = await self._house.store.find_registration(client)
        present = await self._house.store.find_client(client)
        right = hmac.compare_digest(
            asked.token.digest(), _NOBODY if registration is None else registration.token
        )
        if not right or registration is None or present is None:
            raise NotAdmitted(shown=True)
        if not present.enabled and not ending:
            raise NotAdmitted(shown=True)
        return present, registration, asked.token

    async def _change(
        self, before: Client, registration: Registration, token: Secret, told: JsonObject
    ) -> Reply:
        if told.get("client_id") != before.id:
            raise InvalidClientMetadata("client_id is missing or another's")
        if not _OURS.isdisjoint(told):
            raise InvalidClientMetadata("There is a member that only the server may set")
        if "client_secret" in told and not _is_secret_of(before, told["client_secret"]):
            raise InvalidClientMetadata("client_secret is not the present one")
        house, terms = self._house, self._terms
        metadata = read_metadata(told, terms.offered)
        digests = before.secret_digests if has_secret(metadata) else ()
        secret = self._new_secret() if has_secret(metadata) and not digests else None
        after = await read_registered(
            house,
            self._known,
            metadata,
            terms.offered,
            client=before.id,
            digests=digests if secret is None else (secret.digest(),),
        )
        # Whoever answers for it may not decide its requests: no client takes that off itself.
        after = replace(after, owner=before.owner)
        kept = told_of(after, metadata)
        if not await house.store.replace_registration(before, after, kept):
            # Changed, disabled or deleted meanwhile: the caller looks again.
            raise Unavailable
        await self._note("client_changed", after)
        changed = Registration(
            client=after.id,
            token=registration.token,
            registered_at=registration.registered_at,
            metadata=kept,
        )
        return self._tell(after, changed, token, secret=secret)

    async def _end(self, client: Client) -> Reply:
        """First the fence and all that rests on the client, then its token: whoever is cut short
        in between can ask again.
        """
        await dispose.disable_client(self._house, client, by=f"client:{client.id}")
        await self._house.store.drop_registration(client.id)
        await self._note("client_unregistered", client)
        return Reply(204, b"")

    def _tell(
        self,
        client: Client,
        registration: Registration,
        token: Secret,
        *,
        secret: Secret | None = None,
        status: int = 200,
    ) -> Reply:
        told: dict[str, Json] = {
            **registration.metadata,
            "client_id": client.id,
            "client_id_issued_at": int(registration.registered_at.timestamp()),
            "registration_client_uri": self._house.endpoints.registration_of(client.id),
            "registration_access_token": token.reveal(),
        }
        if secret is not None:
            # Only now: it rests as its digest.
            told |= {"client_secret": secret.reveal(), "client_secret_expires_at": 0}
        return Reply(status, render_json(told))

    def _new_secret(self) -> Secret:
        return Secret(render_base64url(self._house.random(_SECRET_BYTES)))

    async def _note(self, event: str, client: Client) -> None:
        house = self._house
        await house.store.record(
            SecurityEvent(house.clock.now(), event, f"client:{client.id}", client.id)
        )


def _named(query: bytes) -> ClientId | None:
    """The client that the address is about; raises `InvalidRequest`."""
    if not query:
        return None
    try:
        pairs = parse_qsl(query.decode("ascii"), strict_parsing=True, max_num_fields=1)
    except ValueError:
        raise InvalidRequest("The query cannot be read") from None
    if len(pairs) != 1 or pairs[0][0] != names.CLIENT_ID:
        raise InvalidRequest("The query has something else than client_id")
    # Before any store is asked: not every one takes every character.
    if not (pairs[0][1].isascii() and pairs[0][1].isprintable()):
        raise InvalidRequest("The query cannot be read")
    return ClientId(pairs[0][1])


async def _read(scope: http.Scope, receive: http.Receive, *, with_body: bool) -> _Asked:
    fields: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        fields.setdefault(name, []).append(value)
    if b"content-encoding" in fields:
        raise EncodedBody("The body must not be encoded")
    body: JsonObject = {}
    if with_body:
        kinds = fields.get(b"content-type", [b""])
        if len(kinds) != 1 or kinds[0].partition(b";")[0].strip().lower() != b"application/json":
            raise InvalidRequest("The body must be application/json")
        try:
            body = parse_json_object(await http.read_body(receive))
        except NotStrictJson:
            raise InvalidClientMetadata("The body is not a JSON object") from None
    peer = scope.get("client")
    return _Asked(
        _token(fields.get(b"authorization", [])), body, "" if peer is None else str(peer[0])
    )


def _token(authorization: list[bytes]) -> Secret | None:
    if not authorization:
        return None
    scheme, _, token = authorization[0].partition(b" ")
    if len(authorization) > 1 or scheme.lower() != b"bearer" or not token.strip():
        raise NotAdmitted(shown=True)
    return Secret(token.strip().decode("latin-1"))


def _is_secret_of(client: Client, told: Json) -> bool:
    return isinstance(told, str) and any(
        Secret(told).matches(digest) for digest in client.secret_digests
    )


def _refuse(refused: NotAdmitted) -> Reply:
    """RFC 6750 §3.1: nothing more is said to who has shown nothing."""
    error = f' error="{names.INVALID_TOKEN}"' if refused.shown else ""
    body = {names.ERROR: names.INVALID_TOKEN} if refused.shown else {}
    return Reply(401, render_json(body), (header("WWW-Authenticate", f"Bearer{error}"),))
