"""An identity verification that goes back and forth: a vendor's step, a question, a yes."""

from typing import Final

from abeyance.cli.demo.asked import IDENTITY
from abeyance.cli.demo.stage import ONBOARDING, tapped
from abeyance.cli.demo.telling import Told
from abeyance.client import (
    Client,
    ClientError,
    ClientSecretBasic,
    Progress,
    Waiting,
    generate_key,
)

_ACTS: Final = 4  # two of Uma's, two of Rita's
_NOTE: Final = "Your passport says Underwood-Hale. Which name do you use?"


def tell(told: Told) -> None:
    """Twice the client is told where Uma must act; each time the request waits on."""
    stage, narrator = told.stage, told.narrator
    narrator.story(2, "An identity verification that takes hours, and goes back and forth")
    narrator.say(
        "Uma opens an account. Her passport is read at a vendor's; then Rita has a question. In "
        "life that is a day; here it is seconds. The rule:"
    )
    narrator.show("", *stage.rule("identity"))
    narrator.scene(1, "Uma agrees; not yet, and the answer says where she must act")
    with (
        tapped(narrator) as http,
        Client(
            stage.issuer,
            ONBOARDING,
            ClientSecretBasic(stage.secret),
            dpop_key=generate_key(),
            http=http,
        ) as client,
    ):
        pending = told.authorize(client, scope=IDENTITY)
        if pending is None:
            return
        turns = _Turns(told)
        try:
            token = pending.wait(on_progress=turns.take, timeout=_ACTS * told.patience)
        except ClientError as ended:
            told.expect(False, f"it ended as {ended}")
            return
    told.expect(len(turns.done) == 2, f"Uma had to act {len(turns.done)} times")
    narrator.by("client", f"granted  {' '.join(token.scope)}; the account is open")


class _Turns:
    """Whose turn it is, by what the client hears: Uma's at an address, else Rita's."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._decided = 0
        self.done: list[str] = []

    def take(self, progress: Progress) -> None:
        uri = progress.interaction_uri
        if progress.state is Waiting.INTERACTION_REQUIRED and uri is not None:
            if uri.reveal() not in self.done:
                self.done.append(uri.reveal())
                self._told.narrator.by("client", "shows Uma the link that it was told")
                self._told.customer.do_step(uri.reveal())
        elif progress.state is Waiting.PENDING and self._decided < len(self.done):
            self._decided = len(self.done)
            self._told.narrator.by("client", "hears that nothing is missing of Uma; hours pass")
            self._decide()

    def _decide(self) -> None:
        told = self._told
        if self._decided == 1:
            told.narrator.scene(2, "Rita reads what the vendor vouches for, and asks back")
            told.reviewer.ask("Say something about it", _NOTE)
        else:
            told.narrator.scene(3, "Rita reads the answer and says yes")
            told.reviewer.approve()
