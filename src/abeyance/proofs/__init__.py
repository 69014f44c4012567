"""The one JOSE wrapper, and every proof made and verified in one file each.

Pure: `now`, keys and identifiers are arguments. What a verifier returns is the
proof; nothing else makes such a value.
"""

from abeyance.proofs.access_token import sign_access_token, verify_access_token
from abeyance.proofs.client_assertion import (
    VerifiedAssertion,
    claimed_client_id,
    make_assertion,
    verify_assertion,
)
from abeyance.proofs.dpop import (
    DPOP_ALGORITHMS,
    ProvenKey,
    VerifiedProof,
    make_proof,
    verify_proof,
)
from abeyance.proofs.jwk import (
    BadKey,
    KeyPair,
    KeySet,
    PublicKey,
    parse_jwks,
    parse_private_jwk,
    parse_private_pem,
    parse_public_jwk,
    render_jwks,
)
from abeyance.proofs.jws import SIGNING_ALGORITHMS, BadToken, sign_jws, verify_jws
from abeyance.proofs.nonce import Nonces
from abeyance.proofs.replay import ReplayMark

__all__ = [
    "DPOP_ALGORITHMS",
    "SIGNING_ALGORITHMS",
    "BadKey",
    "BadToken",
    "KeyPair",
    "KeySet",
    "Nonces",
    "ProvenKey",
    "PublicKey",
    "ReplayMark",
    "VerifiedAssertion",
    "VerifiedProof",
    "claimed_client_id",
    "make_assertion",
    "make_proof",
    "parse_jwks",
    "parse_private_jwk",
    "parse_private_pem",
    "parse_public_jwk",
    "render_jwks",
    "sign_access_token",
    "sign_jws",
    "verify_access_token",
    "verify_assertion",
    "verify_jws",
    "verify_proof",
]
