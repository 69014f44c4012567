"""What a person's grant leaves, with defaults for what does not matter."""

from datetime import datetime, timedelta
from typing import Final

from abeyance.access.access import Access
from abeyance.parties.client import ClientId
from abeyance.parties.consent import ConsentId
from abeyance.parties.person import PersonId
from abeyance.pending.credentials import Assertion, Code, Family, RefreshToken, UserGrant
from abeyance.pending.handles import HandleHash, HandleKind, mint_handle
from abeyance.pending.interaction import Interaction
from tests.access.examples import access
from tests.pending.examples import BATCH, HOME, NOW, SECRET

UMA: Final = PersonId("uma")
SESSION: Final = b"s" * 32
CONSENT: Final = ConsentId("consent-1")
CODE_LIFE: Final = timedelta(minutes=1)
IDLE: Final = timedelta(days=30)
MOST: Final = timedelta(days=90)
# The example of RFC 7636, appendix B.
VERIFIER: Final = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE: Final = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
REDIRECT_URI: Final = "https://client.example/callback"
CODE_TEXT, CODE_HANDLE = mint_handle(HandleKind.AUTHORIZATION_CODE, HOME, SECRET)
REFRESH_TEXT, REFRESH_HANDLE = mint_handle(HandleKind.REFRESH_TOKEN, HOME, SECRET)


def user_grant(*, client: ClientId = BATCH, ended_at: datetime | None = None) -> UserGrant:
    return UserGrant(
        client=client,
        person=UMA,
        session=SESSION,
        consent=CONSENT,
        auth_time=NOW,
        opened_at=NOW,
        live_until=NOW + MOST,
        ended_at=ended_at,
    )


def used_assertion() -> Assertion:
    return Assertion(
        issuer="https://idp.example",
        subject="00u1",
        jti="one",
        digest=b"d" * 32,
        client=BATCH,
        jkt=None,
        used_at=NOW,
        expires_at=NOW + CODE_LIFE,
    )


def code(
    *,
    handle: HandleHash = CODE_HANDLE,
    granted: Access | None = None,
    dpop_jkt: str | None = None,
    hinted: bool = False,
    spent_at: datetime | None = None,
) -> Code:
    return Code(
        handle=handle,
        redirect_uri=REDIRECT_URI,
        challenge=CHALLENGE,
        granted=access("read write") if granted is None else granted,
        dpop_jkt=dpop_jkt,
        hinted=hinted,
        issued_at=NOW,
        expires_at=NOW + CODE_LIFE,
        spent_at=spent_at,
    )


def family(
    *,
    generation: int = 1,
    head: bytes = REFRESH_HANDLE.digest,
    jkt: str | None = None,
    ended_at: datetime | None = None,
) -> Family:
    return Family(
        generation=generation,
        head=head,
        granted=access("read write"),
        jkt=jkt,
        approved=False,
        opened_at=NOW,
        idle_until=NOW + IDLE,
        until=NOW + MOST,
        ended_at=ended_at,
    )


def refresh_token(
    generation: int,
    *,
    digest: bytes = REFRESH_HANDLE.digest,
    spent_at: datetime | None = None,
    successor: bytes | None = None,
) -> RefreshToken:
    return RefreshToken(
        digest=digest,
        generation=generation,
        issued_at=NOW,
        spent_at=spent_at,
        successor=successor,
    )


def taken(number: int = 1) -> Interaction:
    return Interaction(
        number=number,
        step="confirm",
        title="Confirm that you want this",
        note=None,
        person=UMA,
        person_name="Uma",
        answers=(("Yes, I want this", "yes"),),
        vouched=False,
        at=NOW,
    )
