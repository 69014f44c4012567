"""A request comes with an access token: is it let in, and what for?

The order: read what was shown; does the token stand; is it bound, and does whoever shows it
hold the key or certificate; is it enough; and last, is the proof used up. A bound token that
comes without its binding is nobody's (RFC 9449 §7.2, RFC 8705 §3).

Source: OAUTH-AT-08 to -10, OAUTH-DPOP-10, -16, -21, OAUTH-PRM-03.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from abeyance.proofs.dpop import VerifiedProof, verify_proof
from abeyance.proofs.jws import BadToken, numeric_date
from abeyance.proofs.nonce import Nonces
from abeyance.resource.described import ProtectedResource
from abeyance.resource.refusals import Refused, render_challenges
from abeyance.resource.tokens import Tokens
from abeyance.resource.verified import VerifiedAccess
from abeyance.volatile.fetched_keys import KeysAway
from abeyance.volatile.replay import LocalReplayMemory, ReplayMemory, ReplayMemoryFull
from abeyance.wire import names
from abeyance.wire.base64url import render_base64url
from abeyance.wire.errors import InvalidDpopProof, UseDpopNonce
from abeyance.wire.secret import Secret
from abeyance.wire.strict_json import JsonObject

_CREDENTIALS = re.compile(rb"([A-Za-z]+) +([\x21-\x7e]{1,16384})")
_SCHEMES: Final = {names.BEARER.lower(): names.BEARER, names.DPOP.lower(): names.DPOP}
_BINDINGS: Final = frozenset({"jkt", "x5t#S256"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A request as it was received. `url` is the public one, `certificate` the client's in DER,
    if the host has verified that the client holds its key.
    """

    method: str
    url: str
    authorization: Sequence[bytes]
    dpop: Sequence[bytes] = ()
    certificate: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What an act takes. `fits`: must be true for one detail of `details_type` by itself.

    `acr_values`: any of them will do; `max_age`: since the person signed in.
    """

    scope: frozenset[str] = frozenset()
    details_type: str | None = None
    fits: Callable[[Mapping[str, Any]], bool] = lambda _detail: True
    acr_values: tuple[str, ...] = ()
    max_age: timedelta | None = None


NOTHING_MORE: Final = Needs()


class Guard:
    """Lets requests in at one resource. `tokens` has one judge for each issuer.

    `nonces`, with a key of this resource's own, are required where they are given. `replay`
    is the memory of proofs, of this process unless another is given. `now`: aware UTC.
    """

    def __init__(
        self,
        resource: ProtectedResource,
        tokens: Tokens,
        *,
        replay: ReplayMemory | None = None,
        nonces: Nonces | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.resource = resource
        self._tokens = tokens
        self._replay = replay or LocalReplayMemory()
        self._nonces = nonces
        self._now = now

    async def admit(self, shown: Shown, needs: Needs = NOTHING_MORE) -> VerifiedAccess:
        """Raises `Refused`."""
        scheme, token = self._read(shown.authorization)
        now = self._now()
        try:
            claims = await self._tokens.claims_of(
                token,
                audience=self.resource.identifier,
                now=now,
                algorithms=self.resource.algorithms,
            )
            binding = _binding_of(claims)
            if self.resource.fapi and not binding:
                raise BadToken("the token is not bound")
            proof = self._prove(shown, scheme, token, binding, now)
            access = _access(claims, proof, binding)
        except BadToken:
            raise Refused(names.INVALID_TOKEN, scheme) from None
        except KeysAway:
            raise Refused(away=True) from None
        _check(access, needs, scheme, now)
        if proof is not None:
            await self._use_up(proof, now)
        return access

    def headers(self, refused: Refused) -> list[tuple[str, str]]:
        """The header fields of the answer to a request that was not let in."""
        if refused.away:
            return [(names.HEADER_RETRY_AFTER, "5")]
        challenges = render_challenges(
            refused,
            metadata_url=self.resource.metadata_url,
            requires_bound=self.resource.requires_bound,
            algorithms=self.resource.algorithms,
        )
        told = [("WWW-Authenticate", challenges)]
        if refused.nonce is not None:
            told.append((names.HEADER_DPOP_NONCE, refused.nonce))
        return told

    def _read(self, authorization: Sequence[bytes]) -> tuple[str, Secret]:
        if not authorization:
            raise Refused
        found = _CREDENTIALS.fullmatch(authorization[0])
        if len(authorization) > 1 or found is None:
            raise Refused(names.INVALID_REQUEST)
        scheme = _SCHEMES.get(found[1].decode().lower())
        if scheme is None:
            raise Refused
        if scheme == names.BEARER and self.resource.requires_bound:
            raise Refused(names.INVALID_TOKEN)
        return scheme, Secret(found[2].decode())

    def _prove(
        self,
        shown: Shown,
        scheme: str,
        token: Secret,
        binding: Mapping[str, str],
        now: datetime,
    ) -> VerifiedProof | None:
        """Raises `BadToken` where the token is not of whoever shows it, and `Refused`."""
        jkt, thumbprint = binding.get("jkt"), binding.get("x5t#S256")
        if thumbprint is not None and not _is_of(shown.certificate, thumbprint):
            raise BadToken("the token is bound to another certificate")
        if (jkt is not None) != (scheme == names.DPOP):
            raise BadToken("the token is bound to a key, or the scheme says so and it is not")
        if jkt is None:
            return None
        try:
            proof = verify_proof(
                shown.dpop,
                method=shown.method,
                url=shown.url,
                now=now,
                nonces=self._nonces,
                require_nonce=self._nonces is not None,
                access_token=token,
                algorithms=self.resource.algorithms,
            )
        except UseDpopNonce as wanted:
            raise Refused(names.USE_DPOP_NONCE, scheme, nonce=wanted.nonce) from None
        except InvalidDpopProof:
            raise Refused(names.INVALID_DPOP_PROOF, scheme) from None
        if proof.key.jkt != jkt:
            raise BadToken("the token is bound to another key")
        return proof

    async def _use_up(self, proof: VerifiedProof, now: datetime) -> None:
        try:
            first = await self._replay.use(proof.mark, now=now)
        except ReplayMemoryFull:
            raise Refused(away=True) from None
        if not first:
            raise Refused(names.INVALID_DPOP_PROOF, names.DPOP)


def _binding_of(claims: JsonObject) -> dict[str, str]:
    """What the token is bound to. A way of binding that we cannot check lets nobody in."""
    told = claims.get("cnf")
    if "cnf" not in claims:
        return {}
    if not isinstance(told, dict) or not told or not told.keys() <= _BINDINGS:
        raise BadToken("the token is bound in a way that is not known")
    binding = {name: value for name, value in told.items() if isinstance(value, str)}
    if len(binding) != len(told):
        raise BadToken("what the token is bound to is not a string")
    return binding


def _is_of(certificate: bytes | None, thumbprint: str) -> bool:
    if certificate is None:
        return False
    own = render_base64url(hashlib.sha256(certificate).digest())
    return hmac.compare_digest(own.encode(), thumbprint.encode())


def _access(
    claims: JsonObject, proof: VerifiedProof | None, binding: Mapping[str, str]
) -> VerifiedAccess:
    scope, acr = claims.get(names.SCOPE, ""), claims.get("acr")
    if not isinstance(scope, str) or not isinstance(acr, str | None):
        raise BadToken("the scope or the acr is not a string")
    return VerifiedAccess(
        issuer=_text(claims, "iss"),
        subject=_text(claims, "sub"),
        client_id=_text(claims, "client_id"),
        scope=frozenset(scope.split()),
        details=_details(claims),
        auth_time=numeric_date(claims, "auth_time"),
        acr=acr,
        jkt=None if proof is None else proof.key.jkt,
        certificate="x5t#S256" in binding,
        claims=claims,
    )


def _text(claims: JsonObject, name: str) -> str:
    told = claims.get(name)
    if not isinstance(told, str) or not told:
        raise BadToken("a claim is missing or not a string")
    return told


def _details(claims: JsonObject) -> tuple[Mapping[str, Any], ...]:
    told = claims.get(names.AUTHORIZATION_DETAILS, [])
    if not isinstance(told, list):
        raise BadToken("the authorization_details are not an array")
    details: list[Mapping[str, Any]] = []
    for each in told:
        if not isinstance(each, dict) or not isinstance(each.get("type"), str):
            raise BadToken("an authorization detail is no object with a type")
        details.append(each)
    return tuple(details)


def _check(access: VerifiedAccess, needs: Needs, scheme: str, now: datetime) -> None:
    wanted = " ".join(sorted(needs.scope))
    if not needs.scope <= access.scope:
        raise Refused(names.INSUFFICIENT_SCOPE, scheme, {names.SCOPE: wanted})
    if needs.details_type is not None and not access.allows(needs.details_type, needs.fits):
        # RFC 9396 names no error for resources: more privileges are needed, which is this one's
        # meaning (RFC 6750 §3.1). A scope is named only if one was asked for.
        raise Refused(names.INSUFFICIENT_SCOPE, scheme, {names.SCOPE: wanted} if wanted else {})
    asks: dict[str, str] = {}
    if needs.acr_values and access.acr not in needs.acr_values:
        asks["acr_values"] = " ".join(needs.acr_values)
    if needs.max_age is not None:
        oldest = now.timestamp() - needs.max_age.total_seconds()
        if access.auth_time is None or access.auth_time < oldest:
            asks[names.MAX_AGE] = str(int(needs.max_age.total_seconds()))
    if asks:
        raise Refused(names.INSUFFICIENT_USER_AUTHENTICATION, scheme, asks)
