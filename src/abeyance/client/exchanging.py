"""Token exchange and assertions: what is sent besides what every first request has.

Either may be answered "not yet", like any grant. What comes of an exchange need not be a token:
an assertion for another server (`token_type` `N_A`) is bound by what it says itself.

Source: RFC 8693 §2.1, RFC 7523 §2.1, draft-ietf-oauth-identity-assertion-authz-grant.
"""

from dataclasses import dataclass, field

from abeyance.client.errors import Misconfigured
from abeyance.client.token import Token
from abeyance.proofs.jwk import KeyPair
from abeyance.wire import names
from abeyance.wire.secret import Secret


@dataclass(frozen=True, slots=True)
class TypedToken:
    """A token, and what the server is told that it is (a token type of RFC 8693 §3)."""

    token: Secret = field(repr=False)
    type: str

    @classmethod
    def access_token(cls, token: Secret) -> "TypedToken":
        return cls(token, names.URN_ACCESS_TOKEN)

    @classmethod
    def refresh_token(cls, token: Secret) -> "TypedToken":
        return cls(token, names.URN_REFRESH_TOKEN)

    @classmethod
    def id_token(cls, token: Secret) -> "TypedToken":
        return cls(token, names.URN_ID_TOKEN)

    @classmethod
    def jwt(cls, token: Secret) -> "TypedToken":
        return cls(token, names.URN_JWT)


def exchange_parameters(
    subject: Token | TypedToken,
    actor: Token | TypedToken | None,
    audience: str | None,
    requested_token_type: str | None,
    *,
    key: KeyPair | None,
) -> dict[str, str | Secret]:
    """The parameters of an exchange. `key`: the client's own, with which a token must agree.

    Raises `Misconfigured` for a token that is bound to another key: the server would refuse
    the exchange, and the proof would say nothing.
    """
    shown = _typed(subject, key)
    parameters: dict[str, str | Secret] = {
        names.SUBJECT_TOKEN: shown.token,
        names.SUBJECT_TOKEN_TYPE: shown.type,
    }
    if actor is not None:
        acting = _typed(actor, key)
        parameters |= {names.ACTOR_TOKEN: acting.token, names.ACTOR_TOKEN_TYPE: acting.type}
    if audience is not None:
        parameters[names.AUDIENCE] = audience
    if requested_token_type is not None:
        parameters[names.REQUESTED_TOKEN_TYPE] = requested_token_type
    return parameters


def _typed(token: Token | TypedToken, key: KeyPair | None) -> TypedToken:
    if isinstance(token, TypedToken):
        return token
    bound = token.dpop_key
    if bound is not None and (key is None or key.public.jkt != bound.public.jkt):
        raise Misconfigured("The token is bound to another key than this client's")
    return TypedToken.access_token(token.access_token)
