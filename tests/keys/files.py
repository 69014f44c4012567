"""Signing keys, laid into a folder as an operator or a command would."""

from datetime import UTC, datetime
from pathlib import Path

from abeyance.keys.making import Alg, new_private_pem, parse_signing_pem

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def lay(folder: Path, stamp: str, *, alg: Alg = "ES256") -> str:
    """Put another signing key there; return its kid."""
    pem = new_private_pem(alg)
    lay_bytes(folder, stamp, pem)
    return parse_signing_pem(pem).kid


def lay_bytes(folder: Path, stamp: str, content: bytes) -> Path:
    """Put this file there, whatever it is."""
    file = folder / f"signing-{stamp}.pem"
    file.write_bytes(content)
    file.chmod(0o600)
    return file
