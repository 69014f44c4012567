"""What the stories share: the stage, who takes part, and what went otherwise than told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from abeyance.cli.demo.asked import Detail
from abeyance.cli.demo.customer import Customer
from abeyance.cli.demo.narrator import Narrator
from abeyance.cli.demo.reviewer import Reviewer
from abeyance.cli.demo.stage import Stage
from abeyance.client import Client, ClientError, PendingToken, Token

PATIENCE: Final = timedelta(minutes=10)  # with one act of a person
HASTE: Final = timedelta(seconds=30)  # with one of a script


@dataclass(slots=True)
class Told:
    """A telling. Each story adds what surprised it."""

    stage: Stage
    narrator: Narrator
    reviewer: Reviewer
    customer: Customer
    patience: timedelta = PATIENCE
    surprises: list[str] = field(default_factory=list)

    def expect(self, so: bool, otherwise: str) -> None:
        if not so:
            self.surprises.append(otherwise)
            self.narrator.say(f"(Not as told: {otherwise}.)")

    def outcome(self, pending: PendingToken) -> Token | ClientError:
        """A token, or why there is none: denied, or nobody decided in time."""
        try:
            return pending.wait(timeout=self.patience)
        except ClientError as ended:
            return ended

    def authorize(
        self, client: Client, *, scope: str = "", details: Sequence[Detail] = ()
    ) -> PendingToken | None:
        """Let the customer agree; what waits then. `None` is a surprise."""
        try:
            answer = client.authorize_in_browser(
                scope=scope,
                authorization_details=details,
                open_browser=self.customer.open,
                timeout=self.patience,
            )
        except ClientError as ended:
            self.expect(False, f"it ended as {ended}")
            return None
        self.expect(isinstance(answer, PendingToken), "it was not held")
        return answer if isinstance(answer, PendingToken) else None
