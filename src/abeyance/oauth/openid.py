"""OpenID Connect in an authorization request, read; and what is offered of it.

Source: OpenID Connect Core 1.0 §3.1.2.1, §5.4, §11; Discovery 1.0 §3; OAUTH-OIDC-01, -04, -07,
-08, -11, -14.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from abeyance.access.scope import Scope
from abeyance.parties.client import Client
from abeyance.parties.person import Person, PersonId
from abeyance.pending.identity import Demand, Prompt
from abeyance.wire import names
from abeyance.wire.errors import InvalidRequest, RegistrationNotSupported
from abeyance.wire.form import Form
from abeyance.wire.strict_json import Json, JsonObject

MAX_NONCE: Final = 512
MAX_LOGIN_HINT: Final = 200
USUAL_ALG: Final = "RS256"
# To what they let a client see; none of them says anything about a resource.
IDENTITY_SCOPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        names.SCOPE_OPENID: "Know who you are",
        names.SCOPE_PROFILE: "See your name",
        names.SCOPE_EMAIL: "See your e-mail address",
        names.SCOPE_OFFLINE_ACCESS: "Stay connected while you are away",
    }
)
USERINFO_MEANING: Final = "What this server tells about you"
CLAIMS: Final = (
    "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash",
    "name", "preferred_username", "email", "email_verified",
)  # fmt: skip

_SECONDS: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenId:
    """OpenID Connect as it is switched on. `algorithms`: of ID tokens, the usual one first.

    `acr` names what every sign-in here amounts to; `amr` how it is done.
    """

    algorithms: tuple[str, ...]
    acr: str | None = None
    amr: tuple[str, ...] = ()

    def alg_of(self, client: Client) -> str:
        """With which algorithm this client's ID tokens are signed (OAUTH-OIDC-03)."""
        if client.id_token_alg is not None:
            return client.id_token_alg
        return USUAL_ALG if USUAL_ALG in self.algorithms else self.algorithms[0]


def read_demand(form: Form, client: Client, expected: PersonId | None) -> Demand:
    """What the request demands of the sign-in; `expected` is whom its `id_token_hint` names.

    Raises `InvalidRequest`, `RegistrationNotSupported`. Display, languages and `acr_values`
    are wishes that need no answer (OAUTH-OIDC-09, -11).
    """
    if names.REGISTRATION in form:
        raise RegistrationNotSupported("The server registers nobody by an authorization request")
    nonce, hint = form.get(names.NONCE), form.get(names.LOGIN_HINT)
    if nonce is not None and not 1 <= len(nonce) <= MAX_NONCE:
        raise InvalidRequest("The nonce is empty or too long")
    if hint is not None and (len(hint) > MAX_LOGIN_HINT or not hint.isprintable()):
        raise InvalidRequest("The login_hint is not a short line")
    return Demand(
        prompts=_read_prompts(form),
        max_age=_read_max_age(form, client),
        person=expected,
        login_hint=hint,
        nonce=nonce,
    )


def is_silent(form: Form) -> bool:
    """Does a request, right or wrong, want no page at all?"""
    return form.get(names.PROMPT) == Prompt.NONE


def _read_prompts(form: Form) -> frozenset[Prompt]:
    text = form.get(names.PROMPT)
    if text is None:
        return frozenset()
    try:
        prompts = frozenset(Prompt(value) for value in text.split(" ") if value)
    except ValueError:
        raise InvalidRequest("The prompt has a value that is not known") from None
    if Prompt.NONE in prompts and len(prompts) > 1:
        raise InvalidRequest("The prompt none stands alone")
    return prompts


def _read_max_age(form: Form, client: Client) -> timedelta | None:
    text = form.get(names.MAX_AGE)
    if text is None:
        return client.default_max_age
    if not _SECONDS.fullmatch(text):
        raise InvalidRequest("The max_age is not a number of seconds")
    return timedelta(seconds=int(text))


def claims_of(person: Person, scope: Scope) -> JsonObject:
    """What UserInfo tells of a person; what is not known is left out (OAUTH-OIDC-13)."""
    claims: dict[str, Json] = {"sub": person.id}
    if names.SCOPE_PROFILE in scope:
        claims |= {"name": person.name, "preferred_username": person.id}
    if names.SCOPE_EMAIL in scope and person.email is not None:
        claims |= {"email": person.email, "email_verified": person.email_verified}
    return claims
