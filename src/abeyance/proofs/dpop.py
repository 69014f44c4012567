"""DPoP: proof that the sender of a request holds a key, made and verified.

The order of checks is that of OAUTH-DPOP-01 to -10: what is cheap and stateless
first, the signature after all that can be read off. Whether the proof was used
before is the replay memory's to say (OAUTH-DPOP-12): it is handed the mark.
Whether the key is the one that was expected is the caller's (OAUTH-DPOP-11).

Source: RFC 9449 §4.2, §4.3, §8, §11.1.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from abeyance.proofs.binding import ProvenKey as ProvenKey
from abeyance.proofs.htu import endpoint_url, is_for
from abeyance.proofs.jwk import BadKey, KeyPair, PublicKey, parse_public_jwk
from abeyance.proofs.jws import (
    FUTURE_SKEW,
    MAX_TOKEN,
    SIGNING_ALGORITHMS,
    BadToken,
    Parts,
    check_times,
    is_signed_by,
    numeric_date,
    read_header,
    read_jti,
    read_object,
    read_signature,
    read_typ,
    sign_jws,
    split_compact,
)
from abeyance.proofs.nonce import LIFE, Nonces
from abeyance.proofs.replay import ReplayMark, replay_mark
from abeyance.wire import names
from abeyance.wire.base64url import render_base64url
from abeyance.wire.errors import InvalidDpopProof, UseDpopNonce
from abeyance.wire.secret import Secret
from abeyance.wire.strict_json import Json, JsonObject

DPOP_ALGORITHMS: Final = SIGNING_ALGORITHMS
IAT_PAST: Final = timedelta(seconds=60)

_MALFORMED: Final = "The DPoP proof is malformed"
_KEY_REFUSED: Final = "The key of the DPoP proof is not accepted"
_NOT_IN_TIME: Final = "The DPoP proof is too old or from the future"
_KEY_MEMBERS: Final = frozenset({"kty", "crv", "x", "y", "n", "e"})
_KEPT_HEADERS: Final = 4096
_MAX_KEPT_HEADER: Final = 2048  # characters; the largest RSA key takes about 1,000


@dataclass(frozen=True, slots=True)
class VerifiedProof:
    """Who proved to hold a key; `mark` must be used up before the request acts."""

    key: ProvenKey
    mark: ReplayMark


def verify_proof(
    fields: Sequence[bytes],
    *,
    method: str,
    url: str | Sequence[str],
    now: datetime,
    nonces: Nonces | None,
    require_nonce: bool,
    access_token: Secret | None = None,
    algorithms: frozenset[str] = DPOP_ALGORITHMS,
) -> VerifiedProof:
    """Verify the proof in the `DPoP` header fields of a request.

    `fields` are all field values as received, `url` is our public URL of the
    endpoint, or several that all lead to it. With `access_token` the proof must be for that token.
    Without `nonces` none can be required and one in the proof means nothing. Raises
    `InvalidDpopProof` or `UseDpopNonce`.
    """
    if require_nonce and nonces is None:
        raise ValueError("requiring a nonce takes the nonces")
    parts = _split(fields)
    alg, key = _header_of(parts)
    if alg not in algorithms:
        raise InvalidDpopProof("The algorithm of the DPoP proof is not supported")
    try:
        claims = read_object(parts.claims)
        jti, issued = read_jti(claims), numeric_date(claims, "iat")
        signature = read_signature(parts)
    except BadToken:
        raise InvalidDpopProof(_MALFORMED) from None
    htu = claims.get("htu")
    if not isinstance(htu, str) or issued is None:
        raise InvalidDpopProof(_MALFORMED)
    try:
        check_times(claims, now)
    except BadToken:
        raise InvalidDpopProof(_NOT_IN_TIME) from None
    if claims.get("htm") != method:
        raise InvalidDpopProof("The DPoP proof is for another method")
    urls = (url,) if isinstance(url, str) else url
    if not any(is_for(htu, each) for each in urls):
        raise InvalidDpopProof("The DPoP proof is for another URL")
    if not is_signed_by(key, alg, parts.signed, signature):
        raise InvalidDpopProof("The signature of the DPoP proof is not valid")
    until = _check_fresh(claims, issued, now, nonces, require_nonce=require_nonce)
    if access_token is not None and claims.get("ath") != _token_hash(access_token):
        raise InvalidDpopProof("The DPoP proof is for another access token")
    # Our own spelling of the URL: another `htu` for the same place is the same proof.
    mark = replay_mark("proof", key.jkt, endpoint_url(urls[0]), jti=jti, until=until)
    return VerifiedProof(ProvenKey(key.jkt), mark)


def make_proof(
    key: KeyPair,
    *,
    method: str,
    url: str,
    now: datetime,
    jti: str,
    nonce: str | None = None,
    access_token: Secret | None = None,
) -> str:
    """Make a proof for one request; `jti` is the caller's, new and random each time."""
    claims: dict[str, Json] = {
        "jti": jti,
        "htm": method,
        "htu": url.partition("#")[0].partition("?")[0],
        "iat": int(now.timestamp()),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    if access_token is not None:
        claims["ath"] = _token_hash(access_token)
    bare = {name: key.public.jwk[name] for name in key.public.jwk if name in _KEY_MEMBERS}
    return sign_jws(claims, key, typ=names.TYP_DPOP, header={"jwk": bare})


def _split(fields: Sequence[bytes]) -> Parts:
    if len(fields) != 1:
        raise InvalidDpopProof("The request must carry exactly one DPoP proof")
    field = fields[0]
    if len(field) > MAX_TOKEN:
        raise InvalidDpopProof("The DPoP proof is too long")
    try:
        return split_compact(field.decode("ascii"))
    except ValueError:
        raise InvalidDpopProof(_MALFORMED) from None


def _header_of(parts: Parts) -> tuple[str, PublicKey]:
    # What is kept is bounded in number and in length: strangers choose the headers.
    read = _read_kept_header if len(parts.header) <= _MAX_KEPT_HEADER else _read_header
    return read(parts.header)


def _read_header(part: str) -> tuple[str, PublicKey]:
    try:
        header = read_header(part, own_key=True)
        if read_typ(header) != names.TYP_DPOP:
            raise BadToken("another kind")
    except BadToken:
        raise InvalidDpopProof(_MALFORMED) from None
    alg, jwk = header.get("alg"), header.get("jwk")
    if not isinstance(alg, str) or alg not in DPOP_ALGORITHMS:
        raise InvalidDpopProof("The algorithm of the DPoP proof is not supported")
    if not isinstance(jwk, dict):
        raise InvalidDpopProof(_MALFORMED)
    try:
        key = parse_public_jwk(jwk)
    except BadKey:
        raise InvalidDpopProof(_KEY_REFUSED) from None
    if alg not in key.algorithms:
        raise InvalidDpopProof(_KEY_REFUSED)
    return alg, key


# A client sends the same header with every proof: reading it and its key once
# saves a third of a poll. Only what was accepted is kept.
_read_kept_header = lru_cache(maxsize=_KEPT_HEADERS)(_read_header)


def _check_fresh(
    claims: JsonObject,
    issued: float,
    now: datetime,
    nonces: Nonces | None,
    *,
    require_nonce: bool,
) -> datetime:
    """Return until when this proof would be accepted again (OAUTH-DPOP-08, -09)."""
    if nonces is not None and "nonce" in claims:
        nonce = claims["nonce"]
        since = nonces.accepts(nonce, now) if isinstance(nonce, str) else None
        if since is None:
            raise UseDpopNonce(nonces.mint_nonce(now))
        return since + LIFE  # the client's clock may be wrong: ours is in the nonce
    present = now.timestamp()
    in_time = present - IAT_PAST.total_seconds() <= issued <= present + FUTURE_SKEW.total_seconds()
    if nonces is not None and require_nonce:
        raise UseDpopNonce(nonces.mint_nonce(now))
    if not in_time:
        raise InvalidDpopProof(_NOT_IN_TIME)
    return datetime.fromtimestamp(issued, UTC) + IAT_PAST


def _token_hash(token: Secret) -> str:
    return render_base64url(hashlib.sha256(token.reveal().encode()).digest())
