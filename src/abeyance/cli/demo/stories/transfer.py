"""A bank transfer that is held for fraud review: the code flow, with a public client."""

from abeyance.cli.demo.asked import TRANSFER, render_amount
from abeyance.cli.demo.stage import BANK_APP, tapped
from abeyance.cli.demo.telling import Told
from abeyance.client import Client, PublicClient, Token, generate_key


def tell(told: Told) -> None:
    """Uma agrees, an analyst looks, the money moves."""
    stage, narrator = told.stage, told.narrator
    narrator.story(1, "A bank transfer, held for fraud review")
    narrator.say(
        "Uma buys a boat. She agrees in her browser, as with any server; then somebody at the "
        "bank has to look, while her app waits. The rule:"
    )
    narrator.show("", *stage.rule("transfers"))
    narrator.scene(1, "Uma agrees; the code is good; the answer is 'not yet'")
    with (
        tapped(narrator) as http,
        Client(
            stage.issuer, BANK_APP, PublicClient(), dpop_key=generate_key(), http=http
        ) as client,
    ):
        narrator.by("app", "opens the browser at /authorize (PKCE, state, bound to the app's key)")
        pending = told.authorize(client, details=[TRANSFER])
        if pending is None:
            return
        narrator.by("app", "shows: Your bank is looking at this transfer. You need do nothing.")
        narrator.scene(2, "An analyst reads it and says yes; the app has its token")
        told.reviewer.approve()
        ended = told.outcome(pending)
    told.expect(isinstance(ended, Token), f"it ended as {ended}")
    if isinstance(ended, Token):
        amount = render_amount(ended.authorization_details[0])
        narrator.by("app", f"granted  {amount}; shows: The transfer is on its way.")
