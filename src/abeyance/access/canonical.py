"""Canonical JSON (RFC 8785) and its digest: one text for one value."""

import hashlib
from typing import Any, cast

import rfc8785

from abeyance.wire.base64url import render_base64url
from abeyance.wire.strict_json import Json


def canonical_json(value: Json) -> bytes:
    """Serialize by RFC 8785. Raises `ValueError` for what JSON cannot hold."""
    return rfc8785.dumps(cast(Any, value))


def digest(value: Json) -> str:
    """`sha-256:` and the base64url SHA-256 of the canonical text (EXT-EVID-02)."""
    return "sha-256:" + render_base64url(hashlib.sha256(canonical_json(value)).digest())
