"""The certificate that a program shows (RFC 8705), to authenticate or to bind its tokens to.

The library shows it in the TLS handshake of every connection that it opens, and goes to the
addresses at which the server asks for one, where its metadata has such (`mtls_endpoint_aliases`).
"""

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from abeyance.client.errors import Misconfigured
from abeyance.wire.secret import Secret


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """Two files in PEM: the certificate with those that issued it, and its key.

    `key`: the same file, if it is left out. `password`: of an encrypted key. Nothing is read
    before it is used, and it is read again by each `context`.
    """

    chain: str | os.PathLike[str]
    key: str | os.PathLike[str] | None = None
    password: Secret | None = field(default=None)

    def context(self) -> ssl.SSLContext:
        """For an HTTP client of one's own, such as the one that shows a bound token to its
        resource: `httpx2.Client(verify=certificate.context())`. Servers are verified as always.

        Raises `Misconfigured` for files that cannot be used.
        """
        context = httpx2.create_ssl_context()
        try:
            context.load_cert_chain(
                Path(self.chain), None if self.key is None else Path(self.key), self._tell
            )
        except (OSError, ValueError):
            # Of which SSLError is a kind; its text is not for users, and may name the path.
            raise Misconfigured(
                "The client's certificate or its key cannot be read, or they do not fit each other"
            ) from None
        return context

    def _tell(self) -> str:
        # Without it OpenSSL would ask on the terminal.
        return "" if self.password is None else self.password.reveal()
