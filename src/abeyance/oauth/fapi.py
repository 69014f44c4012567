"""The FAPI 2.0 Security Profile, as far as it narrows what a client may be (OAUTH-FAPI).

One switch for the whole server. What is registered is held to it wherever it came from: a
client that authenticates otherwise is nobody, and nothing of a registration widens the rest.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from abeyance.parties.client import Client
from abeyance.proofs.jws import FAPI_ALGORITHMS
from abeyance.wire import names

METHODS: Final = (
    names.PRIVATE_KEY_JWT,
    names.TLS_CLIENT_AUTH,
    names.SELF_SIGNED_TLS_CLIENT_AUTH,
)
ALGORITHMS: Final = FAPI_ALGORITHMS
LONGEST_CODE: Final = timedelta(seconds=60)


def hold(client: Client) -> Client:
    """The client as the profile lets it be; the same object, if it is so already."""
    by_certificate = client.auth_method in METHODS and client.shows_certificate
    fits = (
        client.auth_method in METHODS
        and client.require_pushed
        and not client.rotate_refresh_tokens
        and not client.pkce_optional
        and not client.legacy_assertion_audience
        and not client.first_party
        and (client.certificate_bound or not by_certificate)
        and (client.id_token_alg is None or client.id_token_alg in ALGORITHMS)
    )
    if fits:
        return client
    return replace(
        client,
        enabled=client.enabled and client.auth_method in METHODS,
        require_pushed=True,
        rotate_refresh_tokens=False,
        pkce_optional=False,
        legacy_assertion_audience=False,
        first_party=False,
        certificate_bound=client.certificate_bound or by_certificate,
        id_token_alg=client.id_token_alg if client.id_token_alg in ALGORITHMS else None,
    )
