"""Our side of one authorization server: who we are, its metadata, and one call to it.

Every request of the library leaves through here. It carries what the protocol
needs and nothing else: the same few header fields each time, no cookie, no
version, nothing that tells one request of a client from another (DTR-PRIV-02).
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from abeyance.client import answers
from abeyance.client.addresses import BadAddress, check_issuer, metadata_url, openid_url
from abeyance.client.authentication import Authentication, Occasion, TlsClientAuth
from abeyance.client.callbacks import Callbacks
from abeyance.client.certificate import ClientCertificate
from abeyance.client.errors import DiscoveryFailed, Misconfigured, Unavailable
from abeyance.client.exchange import Flow, Received, Send, Unanswered, send
from abeyance.client.metadata import ServerMetadata, parse_metadata
from abeyance.client.surroundings import Surroundings
from abeyance.proofs.dpop import make_proof
from abeyance.proofs.jwk import KeyPair, KeySet
from abeyance.wire import names
from abeyance.wire.form import render_form

log: Final = logging.getLogger("abeyance.client")

COMMON: Final = (("Accept", "application/json"), ("User-Agent", "abeyance"))
_NOT_FOUND: Final = 404
_FORM: Final = (("Content-Type", "application/x-www-form-urlencoded"),)


@dataclass(slots=True)
class Link:
    """Shared by all requests of one client; `nonces` holds the last DPoP nonce of each origin.

    `can_interact`: the program can show somebody an address (reading 27). `certified`: its
    handshakes show a certificate.
    """

    issuer: str
    client_id: str
    authentication: Authentication
    surroundings: Surroundings
    known: ServerMetadata | None = None
    can_interact: bool = False
    nonces: dict[str, str] = field(default_factory=dict, repr=False)
    keys: KeySet | None = None  # the server's, once somebody needed them
    callbacks: Callbacks | None = None
    certified: bool = False

    @classmethod
    def to(
        cls,
        server: str | ServerMetadata,
        client_id: str,
        authentication: Authentication,
        surroundings: Surroundings,
        *,
        can_interact: bool = False,
        callbacks: Callbacks | None = None,
        certificate: ClientCertificate | None = None,
        own_http: bool = False,
    ) -> "Link":
        """`own_http`: the caller's HTTP client sees to TLS. Raises `Misconfigured` for an issuer
        that must not be talked to, and for a client that would have nothing to show.
        """
        issuer = server.issuer if isinstance(server, ServerMetadata) else server
        try:
            check_issuer(issuer)
        except BadAddress as bad:
            raise Misconfigured(f"The issuer cannot be used: {bad}") from None
        if not client_id:
            raise Misconfigured("The client id is empty")
        by_certificate = isinstance(authentication, TlsClientAuth)
        if by_certificate and certificate is None and not own_http:
            raise Misconfigured("A client that authenticates by certificate has to have one")
        certified = by_certificate or certificate is not None
        known = server if isinstance(server, ServerMetadata) else None
        if known is not None and certified:
            known = known.at_aliases()
        return cls(
            issuer,
            client_id,
            authentication,
            surroundings,
            known,
            can_interact,
            callbacks=callbacks,
            certified=certified,
        )

    @property
    def completion_mode(self) -> str:
        """How an opt-in is worded: both values, for servers that know one of them only."""
        if not self.can_interact:
            return names.COMPLETION_DEFERRED
        return f"{names.COMPLETION_DEFERRED} {names.COMPLETION_INTERACTIVE}"

    @property
    def common(self) -> tuple[tuple[str, str], ...]:
        """The header fields of every request."""
        return COMMON

    def speaks(self, profile: str) -> bool:
        """Does the server list this profile, as far as its metadata has been read?"""
        return self.known is not None and profile in self.known.profiles

    def discover(self) -> Flow[ServerMetadata]:
        """The metadata, fetched once. Raises `DiscoveryFailed`, `Unavailable`."""
        if self.known is None:
            reply = yield from send(Send("GET", metadata_url(self.issuer), COMMON))
            if isinstance(reply, Received) and reply.status == _NOT_FOUND:
                # A provider of OpenID Connect may publish it under its older name only.
                reply = yield from send(Send("GET", openid_url(self.issuer), COMMON))
            if isinstance(reply, Unanswered):
                raise Unavailable(reply.why)
            if reply.status == 429 or reply.status >= 500:
                wait = answers.retry_after(reply, self.surroundings.now())
                raise Unavailable("the metadata cannot be had at the moment", retry_after=wait)
            if reply.status != 200:
                raise DiscoveryFailed("The server publishes no metadata for this issuer")
            known = parse_metadata(answers.parse_members(reply.body), issuer=self.issuer)
            self.known = known.at_aliases() if self.certified else known
            log.debug("metadata read")
        return self.known

    def call(
        self,
        url: str,
        parameters: Iterable[tuple[str, str]],
        *,
        key: KeyPair | None,
        hold: int = 0,
    ) -> Flow[Received | Unanswered]:
        """Post a form, authenticated and with proof of `key`. `hold`: for so many seconds the
        server may keep the answer back.

        A nonce challenge is answered once, with everything that must be fresh
        made anew; a second challenge is the caller's answer (T-240).
        """
        parameters = tuple(parameters)
        reply = yield from send(self._request(url, parameters, key, hold))
        if self._is_challenge(url, reply) and key is not None:
            log.debug("nonce challenge answered")
            reply = yield from send(self._request(url, parameters, key, hold))
            self._is_challenge(url, reply)
        return reply

    def _request(
        self,
        url: str,
        parameters: tuple[tuple[str, str], ...],
        key: KeyPair | None,
        hold: int,
    ) -> Send:
        now = self.surroundings.now()
        who = self.authentication.credentials(
            Occasion(self.issuer, self.client_id, now, self.surroundings.identifier)
        )
        headers = COMMON + _FORM + who.headers
        if key is not None:
            proof = make_proof(
                key,
                method="POST",
                url=url,
                now=now,
                jti=self.surroundings.identifier(),
                nonce=self.nonces.get(origin_of(url)),
            )
            headers += ((names.HEADER_DPOP, proof),)
        # Only once where both say it, such as the `client_id` of a pushed request.
        said = {name for name, _ in who.parameters}
        others = tuple(pair for pair in parameters if pair[0] not in said)
        if hold:
            headers += ((names.HEADER_PREFER, f"wait={hold}"),)
        return Send("POST", url, headers, render_form(others + who.parameters), hold)

    def _is_challenge(self, url: str, reply: Received | Unanswered) -> bool:
        if isinstance(reply, Unanswered):
            return False
        nonce = answers.fresh_nonce(reply)
        if nonce is None:
            return False
        self.nonces[origin_of(url)] = nonce
        return isinstance(answers.read_answer(reply, polling=True), answers.NonceWanted)


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
