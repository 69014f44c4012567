"""An access token of ours is shown at an API of ours (OAUTH-AT-08 to -10, RFC 9449 §7).

One token, in the `Authorization` field alone. A bound one comes with a proof by its
key for this request; a bound one that comes as `Bearer` is nobody's.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from abeyance.acts.admit import use_up
from abeyance.acts.house import House
from abeyance.acts.introspect import live_claims
from abeyance.parties.client import ClientId
from abeyance.proofs.binding import X5T
from abeyance.proofs.certificate import thumbprint
from abeyance.proofs.dpop import verify_proof
from abeyance.wire import names
from abeyance.wire.errors import InvalidDpopProof
from abeyance.wire.secret import Secret
from abeyance.wire.strict_json import Json

_CREDENTIALS = re.compile(rb"([A-Za-z]+) +([\x21-\x7e]{1,16384})")


class TokenRefused(Exception):
    """Nothing is done. `error` is that of RFC 6750 or 9449; `None`: no token was sent at all."""

    def __init__(self, error: str | None) -> None:
        super().__init__(error or "no token")
        self.error = error


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who holds a token that stands: the client, and the person behind it if there is one."""

    client: ClientId
    subject: str
    person: str | None
    scope: frozenset[str]


async def present(
    house: House,
    *,
    authorization: Sequence[bytes],
    dpop: Sequence[bytes],
    method: str,
    url: str,
    audience: str,
    certificate: bytes | None = None,
) -> Bearer:
    """Verify the token for this audience. Raises `TokenRefused`, `Unavailable`."""
    scheme, token = _read(authorization)
    claims = await live_claims(house, token.reveal())
    if claims is None or not _is_for(claims.get("aud"), audience):
        raise TokenRefused(names.INVALID_TOKEN)
    binding = claims.get("cnf")
    jkt = binding.get("jkt") if isinstance(binding, dict) else None
    x5t = binding.get(X5T) if isinstance(binding, dict) else None
    if x5t is not None and (certificate is None or thumbprint(certificate) != x5t):
        raise TokenRefused(names.INVALID_TOKEN)
    if (jkt is not None) != (scheme == names.DPOP.lower()):
        raise TokenRefused(names.INVALID_TOKEN)
    if jkt is not None:
        await _prove(house, token, dpop, str(jkt), method, house.urls(url, certificate))
    subject, client = str(claims["sub"]), ClientId(str(claims["client_id"]))
    return Bearer(
        client=client,
        subject=subject,
        person=None if subject == f"client:{client}" else subject,
        scope=frozenset(str(claims.get(names.SCOPE, "")).split()),
    )


def _read(authorization: Sequence[bytes]) -> tuple[str, Secret]:
    if not authorization:
        raise TokenRefused(None)
    found = _CREDENTIALS.fullmatch(authorization[0])
    if len(authorization) > 1 or found is None:
        raise TokenRefused(names.INVALID_REQUEST)
    scheme = found[1].decode().lower()
    if scheme not in (names.BEARER.lower(), names.DPOP.lower()):
        raise TokenRefused(None)
    return scheme, Secret(found[2].decode())


async def _prove(
    house: House, token: Secret, dpop: Sequence[bytes], jkt: str, method: str, urls: Sequence[str]
) -> None:
    try:
        # Without our nonces: those of a token endpoint mean nothing here (OAUTH-DPOP-16).
        proof = verify_proof(
            dpop,
            method=method,
            url=urls,
            now=house.clock.now(),
            nonces=None,
            require_nonce=False,
            access_token=token,
            algorithms=house.algorithms,
        )
    except InvalidDpopProof:
        raise TokenRefused(names.INVALID_DPOP_PROOF) from None
    if proof.key.jkt != jkt:
        raise TokenRefused(names.INVALID_TOKEN)
    if not await use_up(house, proof.mark):
        raise TokenRefused(names.INVALID_DPOP_PROOF)


def _is_for(told: Json, audience: str) -> bool:
    return told == audience or (isinstance(told, list | tuple) and audience in told)
