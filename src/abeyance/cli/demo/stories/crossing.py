"""An agent that crosses from one company to another: an ID-JAG, and consent in the browser."""

from abeyance.cli.demo.employer import ASSISTANT, ASSISTANT_THERE, STATEMENTS
from abeyance.cli.demo.stage import BANK, tapped
from abeyance.cli.demo.telling import Told
from abeyance.client import (
    Client,
    ClientError,
    ClientSecretBasic,
    PendingToken,
    Progress,
    Token,
    TypedToken,
    generate_key,
)
from abeyance.proofs.jwk import KeyPair
from abeyance.wire import names
from abeyance.wire.secret import Secret


def tell(told: Told) -> None:
    """Uma signs in at work; the bank believes her employer, and asks her before it gives."""
    stage, narrator = told.stage, told.narrator
    narrator.story(4, "An agent that crosses from one company to another")
    narrator.say(
        "At work, Northwind's assistant helps Uma. She wants it to read her statements at the "
        "bank. The two companies have a server each; the bank believes Northwind about who "
        "somebody is, not about what they agreed to:"
    )
    narrator.show("", *stage.table("trusted_issuers"))
    key = generate_key()
    assertion = _vouched(told, key)
    if assertion is None:
        return
    narrator.scene(2, "The bank takes Northwind's word for who it is, and asks Uma herself")
    with (
        tapped(narrator) as http,
        Client(
            stage.issuer,
            ASSISTANT_THERE,
            ClientSecretBasic(stage.secret),
            dpop_key=key,
            http=http,
        ) as client,
    ):
        try:
            answer = client.use_assertion(assertion, scope=STATEMENTS)
            told.expect(isinstance(answer, PendingToken), "the bank did not ask her")
            if not isinstance(answer, PendingToken):
                return
            token = answer.wait(on_progress=_Shown(told).take, timeout=2 * told.patience)
        except ClientError as ended:
            told.expect(False, f"it ended as {ended}")
            return
    narrator.by("assistant", f"granted  {' '.join(token.scope)}, at the bank and nowhere else")


def _vouched(told: Told, key: KeyPair) -> Secret | None:
    """Northwind's word for who is there: for the bank alone, in the hand of this key alone."""
    stage, narrator = told.stage, told.narrator
    narrator.scene(1, "Uma signs in at work; Northwind vouches for her, to the bank alone")
    with (
        tapped(narrator) as http,
        Client(
            stage.employer,
            ASSISTANT,
            ClientSecretBasic(stage.secret),
            dpop_key=key,
            http=http,
        ) as client,
    ):
        try:
            signed_in = client.authorize_in_browser(
                scope="profile", open_browser=told.customer.open, timeout=told.patience
            )
            if not isinstance(signed_in, Token) or signed_in.refresh_token is None:
                told.expect(False, "she was not signed in at once")
                return None
            vouched = client.exchange_token(
                TypedToken.refresh_token(signed_in.refresh_token),
                audience=stage.issuer,
                requested_token_type=names.URN_ID_JAG,
                scope=STATEMENTS,
                resource=BANK,
            )
        except ClientError as ended:
            told.expect(False, f"it ended as {ended}")
            return None
    told.expect(isinstance(vouched, Token), "Northwind did not vouch at once")
    if not isinstance(vouched, Token):
        return None
    narrator.by("assistant", "has an ID-JAG: who, for which server, for what, to which key")
    return vouched.access_token


class _Shown:
    """Shows Uma where the bank wants her, once."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._shown = ""

    def take(self, progress: Progress) -> None:
        uri = progress.interaction_uri
        if uri is not None and uri.reveal() != self._shown:
            self._shown = uri.reveal()
            self._told.narrator.by("assistant", "shows Uma the bank's link")
            self._told.customer.do_step(self._shown)
