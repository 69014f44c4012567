"""Whether an access token stands: by its signature, or by asking who issued it.

Source: RFC 9068 §4, RFC 7662; OAUTH-AT-01, OAUTH-JWT-01 to -10.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol

from abeyance.proofs.access_token import verify_access_token
from abeyance.proofs.jws import FUTURE_SKEW, BadToken, numeric_date, read_jti
from abeyance.volatile.fetched_keys import FetchedKeys
from abeyance.wire.secret import Secret
from abeyance.wire.strict_json import Json, JsonObject

Ask = Callable[[Secret], Awaitable[JsonObject]]


class Tokens(Protocol):
    async def claims_of(
        self, token: Secret, *, audience: str, now: datetime, algorithms: frozenset[str]
    ) -> JsonObject:
        """The claims of a token that stands, for this audience, and is signed with one of these
        if anybody but its issuer has to see that. Raises `BadToken`, `KeysAway`.
        """
        ...


class SignedTokens:
    """JWT access tokens of one issuer. A revoked one is taken until it expires."""

    __slots__ = ("_issuer", "_keys")

    def __init__(self, issuer: str, keys: FetchedKeys) -> None:
        self._issuer = issuer
        self._keys = keys

    async def claims_of(
        self, token: Secret, *, audience: str, now: datetime, algorithms: frozenset[str]
    ) -> JsonObject:
        compact = token.reveal()
        keys = await self._keys.for_token(compact)
        claims = verify_access_token(
            compact, keys=keys, issuer=self._issuer, now=now, algorithms=algorithms
        )
        read_jti(claims)
        issued = numeric_date(claims, "iat")
        if issued is None or issued > now.timestamp() + FUTURE_SKEW.total_seconds():
            raise BadToken("the token has no time of issue, or one to come")
        _check_audience(claims, audience)
        return claims


class IntrospectedTokens:
    """Tokens of any form, of one issuer: `ask` sends one to its introspection endpoint and
    returns the JSON object of the answer, and raises `KeysAway` if there is none.
    """

    __slots__ = ("_ask", "_issuer")

    def __init__(self, issuer: str, ask: Ask) -> None:
        self._issuer = issuer
        self._ask = ask

    async def claims_of(
        self, token: Secret, *, audience: str, now: datetime, algorithms: frozenset[str]
    ) -> JsonObject:
        told = await self._ask(token)
        if told.get("active") is not True:
            raise BadToken("the token is not active")
        if told.get("iss", self._issuer) != self._issuer:
            raise BadToken("the token is of another issuer")
        expires = numeric_date(told, "exp")
        if expires is not None and now.timestamp() >= expires:
            raise BadToken("the token has expired")
        _check_audience(told, audience)
        return {**told, "iss": self._issuer}


def _check_audience(claims: JsonObject, audience: str) -> None:
    told: Json = claims.get("aud")
    if told != audience and not (isinstance(told, list | tuple) and audience in told):
        raise BadToken("the token is for another resource")
