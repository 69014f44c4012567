"""What `abeyance token` authenticates with and binds to, as its arguments and the environment say.

A secret never stands on a command line; a file with a private key is only its owner's to read.
"""

import os
from pathlib import Path
from typing import Final

from abeyance.cli.calls import BadCall
from abeyance.client import (
    Authentication,
    ClientCertificate,
    ClientSecretBasic,
    ClientSecretPost,
    Misconfigured,
    PrivateKeyJwt,
    PublicClient,
    TlsClientAuth,
    generate_key,
)
from abeyance.client.keys import render_private_pem
from abeyance.client.private_file import create_private, read_private
from abeyance.proofs.jwk import BadKey, KeyPair, parse_private_jwk, parse_private_pem
from abeyance.wire.strict_json import NotStrictJson, parse_json_object

SECRET: Final = "ABEYANCE_CLIENT_SECRET"
SECRET_FILE: Final = "ABEYANCE_CLIENT_SECRET_FILE"


def read_authentication(
    secret_file: Path | None,
    in_body: bool,
    private_key: Path | None,
    alg: str | None,
    public: bool,
    *,
    certified: bool,
) -> Authentication:
    """How the client says who it is. `certified`: it shows a certificate. Raises `BadCall`."""
    if public:
        if secret_file is not None or in_body or private_key is not None:
            raise BadCall("--public", "is given beside a credential", "Leave one of them out.")
        return PublicClient()
    if private_key is not None:
        if secret_file is not None or in_body:
            raise BadCall("--private-key", "is given beside a secret", "Choose one of the two.")
        return PrivateKeyJwt(_read_key("--private-key", private_key, alg))
    if certified and secret_file is None and not in_body:
        # What was named beats what only lies in the environment.
        return TlsClientAuth()
    named = os.environ.get(SECRET_FILE)
    if secret_file is None and named:
        secret_file = Path(named)
    if secret_file is not None:
        text = read_text("--client-secret-file", secret_file).strip()
    else:
        text = os.environ.get(SECRET, "")
    if not text:
        raise BadCall(
            "client",
            "there is neither a secret nor a key to authenticate with",
            "Give --client-secret-file, --private-key, --certificate or --public, "
            f"or set {SECRET}.",
        )
    return ClientSecretPost(text) if in_body else ClientSecretBasic(text)


def read_certificate(chain: Path | None, key: Path | None) -> ClientCertificate | None:
    """Raises `BadCall` for files that cannot be used, or that others may read."""
    if chain is None:
        if key is not None:
            raise BadCall("--certificate-key", "is given without --certificate", "Give both.")
        return None
    argument, private = ("--certificate", chain) if key is None else ("--certificate-key", key)
    _read_private(argument, private)
    certificate = ClientCertificate(chain, key)
    try:
        certificate.context()
    except Misconfigured as wrong:
        raise BadCall(
            "--certificate", str(wrong), "Give both in PEM, the key without a password."
        ) from None
    return certificate


def read_proof_key(dpop: bool, path: Path | None, *, printed: bool) -> KeyPair | None:
    """The key to bind to, made where there is none. `printed`: the caller gets to see it.

    Raises `BadCall`.
    """
    if not dpop:
        if path is not None:
            raise BadCall("--dpop-key", "is given with --no-dpop", "Leave one of them out.")
        return None
    if path is None:
        if not printed:
            raise BadCall(
                "--output",
                "a token that is bound to a key is of no use without the key",
                "Give --dpop-key FILE (made if it is not there), or --no-dpop, or -o json.",
            )
        return generate_key()
    if not path.exists():
        made = generate_key()
        try:
            create_private(path, render_private_pem(made))
        except OSError as fault:
            raise BadCall(
                "--dpop-key", f"cannot be written ({fault.strerror})", "Name another place."
            ) from None
        return made
    return _read_key("--dpop-key", path, None)


def _read_key(argument: str, path: Path, alg: str | None) -> KeyPair:
    content = _read_private(argument, path)
    try:
        if content.lstrip().startswith(b"{"):
            return parse_private_jwk(parse_json_object(content))
        return parse_private_pem(content, alg=alg)
    except (BadKey, NotStrictJson) as bad:
        raise BadCall(
            argument, f"cannot be used: {bad}", "Give a private key as JWK or PEM."
        ) from None


def _read_private(argument: str, path: Path) -> bytes:
    try:
        return read_private(path)
    except OSError as fault:
        raise BadCall(
            argument,
            f"cannot be read ({fault.strerror or fault})",
            "Name a file that only you can read.",
        ) from None


def read_text(argument: str, path: Path) -> str:
    """A text file that an argument names. Raises `BadCall`."""
    try:
        return path.read_text("utf-8")
    except OSError as fault:
        raise BadCall(
            argument, f"cannot be read ({fault.strerror})", "Name a file that is there."
        ) from None
    except UnicodeDecodeError:
        raise BadCall(argument, "is not UTF-8 text", "Name another file.") from None
