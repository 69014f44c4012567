"""Client authentication: one function for every endpoint (OAUTH-CAUTH-01 to -18).

The order: collect what is present; refuse more than one; find the client; is
that method the registered one; verify; does the body's `client_id` agree. What
is found stands in `Credentials`, who was proven in `AuthenticatedClient`, a
value that only `verify_credentials` makes.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias, assert_never
from urllib.parse import unquote_to_bytes

from abeyance.parties.client import Client, ClientId
from abeyance.proofs.client_assertion import claimed_client_id, verify_assertion
from abeyance.proofs.jws import SIGNING_ALGORITHMS, BadToken
from abeyance.proofs.replay import ReplayMark
from abeyance.wire import names
from abeyance.wire.errors import InvalidClient, InvalidRequest
from abeyance.wire.form import Form
from abeyance.wire.secret import Secret

_MAX_CLIENT_ID: Final = 255
_VSCHAR = re.compile(r"[\x20-\x7E]+", re.ASCII)
_BASIC = re.compile(rb"basic +([A-Za-z0-9+/]+={0,2})", re.IGNORECASE)
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NOBODY: Final = hashlib.sha256(b"no client has this secret").digest()


@dataclass(frozen=True, slots=True)
class SecretShown:
    """A client secret, by `client_secret_basic` or `client_secret_post`."""

    method: str
    client_id: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class AssertionShown:
    """A client assertion, unverified; `client_id` is only what it claims."""

    client_id: str
    assertion: Secret


Credentials: TypeAlias = SecretShown | AssertionShown


@dataclass(frozen=True, slots=True)
class AuthenticatedClient:
    """Proof that the caller is this client. `mark` must be used up before the request acts."""

    client: Client
    mark: ReplayMark | None


def challenge(issuer: str) -> str:
    """The `WWW-Authenticate` of a failed authentication; never from the request (SEC-TOK-29)."""
    return f'Basic realm="{issuer}", charset="UTF-8"'


def read_credentials(authorization: Sequence[bytes], form: Form, *, issuer: str) -> Credentials:
    """Collect what the request shows.

    Raises `InvalidRequest` for two mechanisms in one request and `InvalidClient`
    for none or for a malformed one. A header of another scheme than Basic is no
    mechanism of ours.
    """
    if len(authorization) > 1:
        raise InvalidRequest("The Authorization header must not be sent twice")
    header = authorization[0] if authorization else None
    has_header = header is not None and header[:5].lower() == b"basic"
    has_assertion = names.CLIENT_ASSERTION in form or names.CLIENT_ASSERTION_TYPE in form
    has_secret = names.CLIENT_SECRET in form
    if has_header + has_assertion + has_secret > 1:
        raise InvalidRequest("Only one way of client authentication may be used")
    if has_header and header is not None:
        return _read_basic(header, issuer)
    if has_assertion:
        return _read_assertion(form, issuer)
    client_id, secret = form.get(names.CLIENT_ID), form.get(names.CLIENT_SECRET)
    if client_id is None or secret is None or not _is_client_id(client_id):
        raise InvalidClient(challenge(issuer))
    return SecretShown(names.CLIENT_SECRET_POST, client_id, Secret(secret))


def verify_credentials(
    credentials: Credentials,
    client: Client | None,
    form: Form,
    *,
    issuer: str,
    token_endpoint: str,
    now: datetime,
) -> AuthenticatedClient:
    """Verify what was shown against the client that it names, if there is one.

    Raises `InvalidClient`, with one text for unknown client, wrong method, wrong
    secret and disabled client. An unknown client costs the same comparison.
    """
    failed = InvalidClient(challenge(issuer))
    match credentials:
        case SecretShown(method=method, secret=secret):
            known = client.secret_digests if client is not None else ()
            matched = _matches_one(secret.digest(), known)
            if client is None or client.auth_method != method or not matched:
                raise failed
            mark = None
        case AssertionShown(assertion=assertion):
            if client is None or client.auth_method != names.PRIVATE_KEY_JWT or not client.keys:
                raise failed
            try:
                mark = verify_assertion(
                    assertion.reveal(),
                    client_id=client.id,
                    keys=client.keys,
                    algorithms=SIGNING_ALGORITHMS,
                    signing_alg=client.assertion_alg,
                    issuer=issuer,
                    legacy_audience=token_endpoint if client.legacy_assertion_audience else None,
                    now=now,
                ).mark
            except BadToken:
                raise failed from None
        case never:
            assert_never(never)
    if not client.enabled or form.get(names.CLIENT_ID, client.id) != client.id:
        raise failed
    return AuthenticatedClient(client, mark)


def claimed_client(credentials: Credentials) -> ClientId:
    """Who the request says it is, for the look-up; nothing is proven yet."""
    return ClientId(credentials.client_id)


def _matches_one(digest: bytes, known: Sequence[bytes]) -> bool:
    # Every digest is compared, and one even for nobody: time does not tell them apart.
    matched = False
    for each in known or (_NOBODY,):
        matched |= hmac.compare_digest(digest, each)
    return matched


def _read_basic(header: bytes, issuer: str) -> SecretShown:
    """RFC 6749 §2.3.1: base64 of two form-encoded halves, strictly (OAUTH-CAUTH-07)."""
    failed = InvalidClient(challenge(issuer))
    found = _BASIC.fullmatch(header)
    if found is None:
        raise failed
    try:
        decoded = base64.b64decode(found[1], validate=True)
        if base64.b64encode(decoded) != found[1]:
            raise failed
        identifier, separator, secret = decoded.partition(b":")
        client_id, plain = _form_decode(identifier), _form_decode(secret)
    except (binascii.Error, ValueError):
        raise failed from None
    # Encoded as it must be, the pair has one colon; a second one could divide it elsewhere.
    if not separator or b":" in secret:
        raise failed
    if not _is_client_id(client_id) or not _VSCHAR.fullmatch(plain):
        raise failed
    return SecretShown(names.CLIENT_SECRET_BASIC, client_id, Secret(plain))


def _read_assertion(form: Form, issuer: str) -> AssertionShown:
    failed = InvalidClient(challenge(issuer))
    assertion = form.get(names.CLIENT_ASSERTION)
    if assertion is None or form.get(names.CLIENT_ASSERTION_TYPE) != names.ASSERTION_JWT_BEARER:
        raise failed
    try:
        client_id = claimed_client_id(assertion)
    except BadToken:
        raise failed from None
    if not _is_client_id(client_id):
        raise failed
    return AssertionShown(client_id, Secret(assertion))


def _form_decode(half: bytes) -> str:
    if _BAD_ESCAPE.search(half):
        raise ValueError("broken percent escape")
    if b"%" in half or b"+" in half:
        half = unquote_to_bytes(half.replace(b"+", b" "))
    return half.decode("utf-8")


def _is_client_id(text: str) -> bool:
    return len(text) <= _MAX_CLIENT_ID and _VSCHAR.fullmatch(text) is not None
