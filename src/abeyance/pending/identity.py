"""What OpenID Connect adds to a grant: what a client demands of the sign-in, what it is told of it.

A `Demand` is judged while a person is in front of us, and is over with the answer. An
`Identity` goes on with the code and is frozen into a request that must wait: no approval
moves what it says (reading 10).

Source: OpenID Connect Core 1.0 §2, §3.1.2.1, §3.1.2.6; OAUTH-OIDC-04 to -09, -17.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from abeyance.parties.person import PersonId


class Prompt(StrEnum):
    """What a client wants the person to be asked."""

    NONE = "none"
    LOGIN = "login"
    CONSENT = "consent"
    SELECT_ACCOUNT = "select_account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What an ID token says of how somebody signed in, besides when: that is the grant's.

    `nonce` as the client sent it; `acr` and `amr` by what was done then.
    """

    nonce: str | None = None
    acr: str | None = None
    amr: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What an authorization request demands. `person`: whom it expects, by an earlier ID token.

    `login_hint` is shown where a name is typed in, and is nothing else.
    """

    prompts: frozenset[Prompt] = frozenset()
    max_age: timedelta | None = None
    person: PersonId | None = None
    login_hint: str | None = None
    nonce: str | None = None

    @property
    def is_silent(self) -> bool:
        """May no page be shown?"""
        return Prompt.NONE in self.prompts

    @property
    def wants_sign_in(self) -> bool:
        """Must somebody sign in for this request, whoever is signed in already?

        A browser has one account here: whoever shall choose one signs in as it.
        """
        return not self.prompts.isdisjoint({Prompt.LOGIN, Prompt.SELECT_ACCOUNT})

    def is_met(
        self, person: PersonId, signed_in_at: datetime, *, began_at: datetime, now: datetime
    ) -> bool:
        """Is this sign-in what the request, which began at `began_at`, demands?

        One that came after the request is, so that `max_age=0` asks once and not for ever.
        """
        if self.person not in (None, person):
            return False
        if signed_in_at >= began_at:
            return True
        if self.wants_sign_in:
            return False
        return self.max_age is None or now - signed_in_at <= self.max_age


NO_DEMAND: Final = Demand()
