"""`client_credentials` (RFC 6749 §4.4; OAUTH-TOK-11, OAUTH-AT-05).

The client acts for itself: its authentication is the credential, so nothing is
spent. Its subject has a prefix that no person's identifier can have, so that a
client never poses as a user.
"""

from abeyance.grants.grant import Claimed, Grant
from abeyance.parties.client import Client
from abeyance.wire import names


def _claim(client: Client) -> Claimed:
    return Claimed(subject=f"client:{client.id}")


CLIENT_CREDENTIALS = Grant(names.GRANT_CLIENT_CREDENTIALS, _claim)
