"""Originating grants: one module each, one line of registration each."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from abeyance.grants.client_credentials import CLIENT_CREDENTIALS
from abeyance.grants.grant import Grant as Grant

GRANTS: Final[Mapping[str, Grant]] = MappingProxyType(
    {grant.name: grant for grant in (CLIENT_CREDENTIALS,)}
)
