"""Client authentication: one function for every endpoint (OAUTH-CAUTH-01 to -18).

The order: collect what is present; refuse more than one; find the client; is
that method the registered one; verify; does the body's `client_id` agree. What
is found stands in `Credentials`, who was proven in `AuthenticatedClient`, a
value that only `verify_credentials` makes.
"""

import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias, assert_never
from urllib.parse import unquote_to_bytes

from cryptography import x509

from abeyance.parties.client import Client, ClientId
from abeyance.proofs.certificate import Certificate, has_key_of, is_trusted, names_subject
from abeyance.proofs.client_assertion import claimed_client_id, verify_assertion
from abeyance.proofs.jws import SIGNING_ALGORITHMS, BadToken
from abeyance.proofs.replay import ReplayMark
from abeyance.wire import names
from abeyance.wire.errors import InvalidClient, InvalidRequest
from abeyance.wire.form import Form
from abeyance.wire.secret import Secret

_MAX_CLIENT_ID: Final = 255
_MOST_RECALLED: Final = 4096
_VSCHAR = re.compile(r"[\x20-\x7E]+", re.ASCII)
_BASIC = re.compile(rb"basic +([A-Za-z0-9+/]+={0,2})", re.IGNORECASE)
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NOBODY: Final = hashlib.sha256(b"no client has this secret").digest()


@dataclass(frozen=True, slots=True)
class SecretShown:
    """A client secret, by `client_secret_basic` or `client_secret_post`, as its SHA-256."""

    method: str
    client_id: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class AssertionShown:
    """A client assertion, unverified; `client_id` is only what it claims."""

    client_id: str
    assertion: Secret


@dataclass(frozen=True, slots=True)
class NameShown:
    """A bare `client_id`: all that a public client has (OAUTH-CAUTH-05)."""

    client_id: str


Credentials: TypeAlias = SecretShown | AssertionShown | NameShown


@dataclass(frozen=True, slots=True)
class AuthenticatedClient:
    """Proof that the caller is this client, or, of a public client, that it says so.

    `mark` must be used up before the request acts.
    """

    client: Client
    mark: ReplayMark | None
    x5t: str | None = None  # of a certificate that counts for this client


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
    shown: Credentials | None
    if has_header and header is not None:
        shown = _recall_basic(header)
    elif has_assertion:
        shown = _read_assertion(form)
    else:
        shown = _read_post(form)
    if shown is None:
        raise InvalidClient(challenge(issuer))
    return shown


def verify_credentials(
    credentials: Credentials,
    client: Client | None,
    form: Form,
    *,
    issuer: str,
    token_endpoint: str,
    now: datetime,
    certificate: Certificate | None = None,
    authorities: Sequence[x509.Certificate] = (),
    algorithms: frozenset[str] = SIGNING_ALGORITHMS,
    string_audience: bool = False,
) -> AuthenticatedClient:
    """Verify what was shown against the client that it names, if there is one.

    Raises `InvalidClient`, with one text for unknown client, wrong method, wrong
    secret and disabled client. An unknown client costs the same comparison.
    """
    mark = None
    match credentials:
        case SecretShown(method=method, digest=digest):
            known = client.secret_digests if client is not None else ()
            right = _matches_one(digest, known)
            right = right and client is not None and client.auth_method == method
        case AssertionShown(assertion=assertion):
            mark = _verify_assertion(
                assertion,
                client,
                issuer,
                token_endpoint,
                now,
                algorithms,
                string_audience=string_audience,
            )
            right = mark is not None
        case NameShown():
            right = client is not None and (
                client.is_public or _is_shown(client, certificate, authorities, now)
            )
        case never:
            assert_never(never)
    if (
        client is None
        or not right
        or not client.enabled
        or form.get(names.CLIENT_ID, client.id) != client.id
    ):
        raise InvalidClient(challenge(issuer))
    counts = certificate is not None and (client.certificate_bound or client.shows_certificate)
    return AuthenticatedClient(client, mark, certificate.x5t if certificate and counts else None)


def claimed_client(credentials: Credentials) -> ClientId:
    """Who the request says it is, for the look-up; nothing is proven yet."""
    return ClientId(credentials.client_id)


def _is_shown(
    client: Client,
    certificate: Certificate | None,
    authorities: Sequence[x509.Certificate],
    now: datetime,
) -> bool:
    """Is this the client's certificate (RFC 8705 §2)? Never whose it is: by `client_id` alone."""
    if certificate is None:
        return False
    if client.auth_method == names.SELF_SIGNED_TLS_CLIENT_AUTH:
        return has_key_of(certificate, client.keys)
    return (
        client.auth_method == names.TLS_CLIENT_AUTH
        and client.certificate_subject is not None
        and names_subject(certificate, client.certificate_subject)
        and is_trusted(certificate, authorities, now)
    )


def _matches_one(digest: bytes, known: Sequence[bytes]) -> bool:
    # Every digest is compared, and one even for nobody: time does not tell them apart.
    matched = False
    for each in known or (_NOBODY,):
        matched |= hmac.compare_digest(digest, each)
    return matched


def _verify_assertion(
    assertion: Secret,
    client: Client | None,
    issuer: str,
    token_endpoint: str,
    now: datetime,
    algorithms: frozenset[str],
    *,
    string_audience: bool,
) -> ReplayMark | None:
    if client is None or client.auth_method != names.PRIVATE_KEY_JWT or not client.keys:
        return None
    try:
        return verify_assertion(
            assertion.reveal(),
            client_id=client.id,
            keys=client.keys,
            algorithms=algorithms,
            signing_alg=client.assertion_alg,
            issuer=issuer,
            legacy_audience=token_endpoint if client.legacy_assertion_audience else None,
            now=now,
            string_audience=string_audience,
        ).mark
    except BadToken:
        return None


# What a well-formed header says, by the header's digest: a client that polls sends the
# same one each time, and reading it strictly costs more than all else that is judged of
# it. No secret is kept, and nothing of this is proof: that is judged anew each time.
_recalled: dict[bytes, SecretShown] = {}


def _recall_basic(header: bytes) -> SecretShown | None:
    digest = hashlib.sha256(header).digest()
    shown = _recalled.get(digest)
    if shown is None and (shown := _read_basic(header)) is not None:
        if len(_recalled) >= _MOST_RECALLED:
            _recalled.clear()
        _recalled[digest] = shown
    return shown


def _read_basic(header: bytes) -> SecretShown | None:
    """RFC 6749 §2.3.1: base64 of two form-encoded halves, strictly (OAUTH-CAUTH-07)."""
    found = _BASIC.fullmatch(header)
    if found is None:
        return None
    try:
        decoded = binascii.a2b_base64(found[1], strict_mode=True)
        identifier, separator, secret = decoded.partition(b":")
        client_id, plain = _form_decode(identifier), _form_decode(secret)
    except ValueError:
        return None
    # One spelling of the bytes only: trailing bits that mean nothing must be zero.
    if binascii.b2a_base64(decoded, newline=False) != found[1]:
        return None
    # Encoded as it must be, the pair has one colon; a second one could divide it elsewhere.
    if not separator or b":" in secret:
        return None
    if not _is_client_id(client_id) or not _VSCHAR.fullmatch(plain):
        return None
    return SecretShown(names.CLIENT_SECRET_BASIC, client_id, Secret(plain).digest())


def _read_post(form: Form) -> SecretShown | NameShown | None:
    client_id, secret = form.get(names.CLIENT_ID), form.get(names.CLIENT_SECRET)
    if client_id is None or not _is_client_id(client_id):
        return None
    if secret is None:
        return NameShown(client_id)
    return SecretShown(names.CLIENT_SECRET_POST, client_id, Secret(secret).digest())


def _read_assertion(form: Form) -> AssertionShown | None:
    assertion = form.get(names.CLIENT_ASSERTION)
    if assertion is None or form.get(names.CLIENT_ASSERTION_TYPE) != names.ASSERTION_JWT_BEARER:
        return None
    try:
        client_id = claimed_client_id(assertion)
    except BadToken:
        return None
    return AssertionShown(client_id, Secret(assertion)) if _is_client_id(client_id) else None


def _form_decode(half: bytes) -> str:
    if b"%" in half or b"+" in half:
        if _BAD_ESCAPE.search(half):
            raise ValueError("broken percent escape")
        half = unquote_to_bytes(half.replace(b"+", b" "))
    return half.decode("utf-8")


def _is_client_id(text: str) -> bool:
    return len(text) <= _MAX_CLIENT_ID and _VSCHAR.fullmatch(text) is not None
