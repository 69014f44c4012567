"""What a server says about itself (RFC 8414; DTR-OPT-04, -06, DTR-CANC-08)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from abeyance.client.addresses import BadAddress, check_endpoint, check_issuer
from abeyance.client.errors import DiscoveryFailed
from abeyance.wire import names

# What a client calls itself, so that it can show a certificate there.
_ALIASED: Final = (
    "token_endpoint",
    "pushed_authorization_request_endpoint",
    "device_authorization_endpoint",
    "revocation_endpoint",
    "userinfo_endpoint",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerMetadata:
    """The part of the metadata that this library acts upon.

    Made by discovery, or by the caller for a server that publishes none. Raises
    `DiscoveryFailed` for addresses that must not be talked to.
    """

    issuer: str
    token_endpoint: str
    authorization_endpoint: str | None = None
    pushed_authorization_request_endpoint: str | None = None
    challenge_methods: frozenset[str] | None = None  # `None`: it does not say
    names_itself: bool = False  # the answer at the redirect URI carries `iss` (RFC 9207)
    device_authorization_endpoint: str | None = None
    revocation_endpoint: str | None = None
    revocable: frozenset[str] = frozenset()
    jwks_uri: str | None = None
    userinfo_endpoint: str | None = None
    deferral_supported: bool = False
    profiles: frozenset[str] = frozenset()  # of deferral (`names.PROFILE_...`)
    interaction_origins: frozenset[str] = frozenset()  # where people act, besides its own
    protected_resources: frozenset[str] | None = None  # `None`: it does not list any
    mtls_endpoint_aliases: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        try:
            check_issuer(self.issuer)
            check_endpoint(self.token_endpoint, issuer=self.issuer)
            for each in (
                self.authorization_endpoint,
                self.pushed_authorization_request_endpoint,
                self.device_authorization_endpoint,
                self.revocation_endpoint,
                self.jwks_uri,
                self.userinfo_endpoint,
                *self.mtls_endpoint_aliases.values(),
            ):
                if each is not None:
                    check_endpoint(each, issuer=self.issuer)
        except BadAddress as bad:
            raise DiscoveryFailed(f"The server's metadata cannot be used: {bad}") from None

    def at_aliases(self) -> "ServerMetadata":
        """The same, for whoever shows a certificate where one is asked for (RFC 8705 §5)."""
        told: dict[str, Any] = {
            name: url for name, url in self.mtls_endpoint_aliases.items() if name in _ALIASED
        }
        # People still act where the usual token endpoint is: nobody asks their browser there.
        told["interaction_origins"] = self.interaction_origins | {self.token_endpoint}
        return replace(self, **told)

    @property
    def can_cancel(self) -> bool:
        """Whether the revocation endpoint says that it knows deferral codes."""
        return (
            self.revocation_endpoint is not None
            and names.TOKEN_TYPE_DEFERRAL_CODE in self.revocable
        )


def parse_metadata(members: Mapping[str, Any] | None, *, issuer: str) -> ServerMetadata:
    """Read a metadata document of this issuer and no other; raises `DiscoveryFailed`."""
    if members is None:
        raise DiscoveryFailed("The server's metadata is not a JSON object")
    # Exactly equal, or another server answers in this one's name (RFC 8414 §3.3).
    if members.get("issuer") != issuer:
        raise DiscoveryFailed("The server's metadata names another issuer")
    token, revocation = members.get("token_endpoint"), members.get("revocation_endpoint")
    if not isinstance(token, str):
        raise DiscoveryFailed("The server's metadata has no token endpoint")
    authorization = members.get("authorization_endpoint")
    pushed = members.get("pushed_authorization_request_endpoint")
    keys, userinfo = members.get("jwks_uri"), members.get("userinfo_endpoint")
    devices = members.get("device_authorization_endpoint")
    methods = members.get("code_challenge_methods_supported")
    resources = members.get("protected_resources")
    aliases = members.get("mtls_endpoint_aliases")
    return ServerMetadata(
        issuer=issuer,
        token_endpoint=token,
        authorization_endpoint=authorization if isinstance(authorization, str) else None,
        pushed_authorization_request_endpoint=pushed if isinstance(pushed, str) else None,
        challenge_methods=None if methods is None else texts(methods),
        names_itself=members.get("authorization_response_iss_parameter_supported") is True,
        device_authorization_endpoint=devices if isinstance(devices, str) else None,
        revocation_endpoint=revocation if isinstance(revocation, str) else None,
        revocable=texts(members.get("revocation_endpoint_token_type_values_supported")),
        jwks_uri=keys if isinstance(keys, str) else None,
        userinfo_endpoint=userinfo if isinstance(userinfo, str) else None,
        deferral_supported=members.get("deferred_token_response_supported") is True,
        profiles=texts(members.get("deferred_token_response_profiles_supported")),
        interaction_origins=texts(members.get("deferred_interaction_origins")),
        protected_resources=None if resources is None else texts(resources),
        mtls_endpoint_aliases={
            name: url
            for name, url in (aliases.items() if isinstance(aliases, dict) else ())
            if name in _ALIASED and isinstance(url, str)
        },
    )


def texts(value: Any) -> frozenset[str]:
    """The strings of a list; nothing of what is none."""
    return frozenset(
        each for each in (value if isinstance(value, list) else ()) if isinstance(each, str)
    )
