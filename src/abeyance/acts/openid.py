"""What acts do of OpenID Connect: know a hint as ours, note how somebody signed in, find the key
that signs, and tell a client who somebody is (OAUTH-OIDC-03, -08, -13).
"""

from dataclasses import dataclass

from abeyance.acts.house import House
from abeyance.acts.present import Bearer
from abeyance.oauth.openid import claims_of
from abeyance.parties.client import Client
from abeyance.parties.person import PersonId
from abeyance.pending.identity import Identity
from abeyance.proofs.id_token import verify_hint
from abeyance.proofs.jwk import KeyPair
from abeyance.proofs.jws import BadToken
from abeyance.wire import names
from abeyance.wire.errors import InvalidRequest, Unavailable
from abeyance.wire.form import Form
from abeyance.wire.strict_json import JsonObject


@dataclass(frozen=True, slots=True)
class NotForUserInfo(Exception):
    """The token does not let its holder ask; `error` is that of RFC 6750 §3.1."""

    error: str


def find_expected(house: House, form: Form, client: Client) -> PersonId | None:
    """Whom the `id_token_hint` names, however old it is. Raises `InvalidRequest`."""
    hint = form.get(names.ID_TOKEN_HINT)
    if hint is None:
        return None
    try:
        subject = verify_hint(
            hint,
            issuer=house.endpoints.issuer,
            client_id=client.id,
            keys=house.keys.recognised,
        )
    except BadToken:
        raise InvalidRequest("The id_token_hint is no ID token of this client") from None
    return PersonId(subject)


def note_identity(house: House, scope: frozenset[str], nonce: str | None) -> Identity | None:
    """What an ID token will say of this sign-in, if there is to be one (OAUTH-OIDC-01)."""
    openid = house.openid
    if openid is None or names.SCOPE_OPENID not in scope:
        return None
    return Identity(nonce=nonce, acr=openid.acr, amr=openid.amr)


def find_identity_key(
    house: House, client: Client, identity: Identity | None, scope: frozenset[str]
) -> KeyPair | None:
    """What signs the ID token; `None` where none is due. Raises `Unavailable` if it is missing,
    before anything is used up.
    """
    if house.openid is None or identity is None or names.SCOPE_OPENID not in scope:
        return None
    key = house.keys.for_id_tokens(house.openid.alg_of(client))
    if key is None:
        raise Unavailable
    return key


async def tell_who(house: House, bearer: Bearer) -> JsonObject:
    """The claims about whoever the token is for. Raises `NotForUserInfo`."""
    if names.SCOPE_OPENID not in bearer.scope:
        raise NotForUserInfo(names.INSUFFICIENT_SCOPE)
    person = None
    if bearer.person is not None:
        person = await house.store.find_person(PersonId(bearer.person))
    if person is None or not person.enabled:
        raise NotForUserInfo(names.INVALID_TOKEN)
    return claims_of(person, bearer.scope)
