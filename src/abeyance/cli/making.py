"""`abeyance hash-password`, `new-secret` and `new-key`: what a configuration needs.

No secret is ever an argument, where every process list would show it (SEC-OPS-05).
"""

import getpass
import hashlib
import json
import secrets
import sys
from pathlib import Path

from abeyance.cli.app import OK
from abeyance.cli.calls import BadCall
from abeyance.keys.making import new_private_jwk
from abeyance.keys.private_files import write_private
from abeyance.proofs.jwk import KeySet, parse_private_jwk, render_jwks
from abeyance.wire.secret import Secret


def hash_password() -> int:
    """Turn a password into the password_hash of a [[reviewers]] entry.

    Asks for it twice on a terminal, else reads one line from standard input.
    """
    from abeyance.server.passwords import UnfitPassword, hash_password_now

    try:
        print(hash_password_now(_ask_password()))
    except UnfitPassword as error:
        raise BadCall("password", str(error), "Choose another one.") from None
    return OK


def new_secret() -> int:
    """Make a client secret of 256 bits and the secret_sha256 for the configuration."""
    secret = secrets.token_urlsafe(32)
    print(f"secret        {secret}")
    print(f"secret_sha256 {hashlib.sha256(secret.encode()).hexdigest()}")
    print(
        "Give the first to the client, write the second into the configuration; "
        "the secret is shown only now.",
        file=sys.stderr,
    )
    return OK


def new_key(file: Path, /) -> int:
    """Make a key pair for a client that authenticates with private_key_jwt.

    The private key goes to the file, which must not exist and which only you can
    read; the public key set, for jwks or jwks_file, to standard output.

    Parameters
    ----------
    file
        Where the private key goes.
    """
    private = new_private_jwk()
    pair = parse_private_jwk(private)
    text = json.dumps({"kid": pair.kid, **private}, indent=2) + "\n"
    try:
        written = write_private(file, text.encode())
    except OSError as error:
        raise BadCall(
            str(file), f"cannot be written ({error.strerror})", "Name another place."
        ) from None
    if not written:
        raise BadCall(
            str(file), "is there already", "Name a file that is not; keys are not replaced."
        )
    print(json.dumps(render_jwks(KeySet((pair.public,))), indent=2))
    return OK


def _ask_password() -> Secret:
    if not sys.stdin.isatty():
        return Secret(sys.stdin.readline().rstrip("\r\n"))
    password = Secret(getpass.getpass("Password: "))
    if not password.matches(Secret(getpass.getpass("Again: ")).digest()):
        raise BadCall("password", "the two do not agree", "Try again.")
    return password
