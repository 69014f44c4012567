"""Originating grants: one module each, one line of registration each."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from abeyance.grants.authorization_code import AUTHORIZATION_CODE
from abeyance.grants.client_credentials import CLIENT_CREDENTIALS
from abeyance.grants.device_code import DEVICE_CODE
from abeyance.grants.grant import Grant as Grant
from abeyance.grants.jwt_bearer import JWT_BEARER
from abeyance.grants.refresh_token import REFRESH_TOKEN
from abeyance.grants.token_exchange import TOKEN_EXCHANGE

GRANTS: Final[Mapping[str, Grant]] = MappingProxyType(
    {
        grant.name: grant
        for grant in (
            AUTHORIZATION_CODE,
            CLIENT_CREDENTIALS,
            DEVICE_CODE,
            JWT_BEARER,
            REFRESH_TOKEN,
            TOKEN_EXCHANGE,
        )
    }
)
