"""`client_credentials` (RFC 6749 §4.4; OAUTH-TOK-11, OAUTH-AT-05).

The client acts for itself: its authentication is the credential, so nothing is
spent. Its subject has a prefix that no person's identifier can have, so that a
client never poses as a user. A public client has no credential to act with.
"""

from typing import Final

from abeyance.grants.grant import Claimed, Grant, Presented
from abeyance.wire import names
from abeyance.wire.errors import UnauthorizedClient


def _claim(shown: Presented) -> Claimed:
    if shown.client.is_public:
        raise UnauthorizedClient("A public client may not use this grant")
    return Claimed(subject=f"client:{shown.client.id}")


CLIENT_CREDENTIALS: Final = Grant(name=names.GRANT_CLIENT_CREDENTIALS, claim=_claim)
