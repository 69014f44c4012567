"""Interactions: a step that somebody must take before a request goes on (EXT-INTERACT).

What a step is and what it brings is here; that it was asked and done are
transitions (`states`); its address is `interaction_uri`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

MAX_NOTE: Final = 500  # characters, of a reviewer to whoever must act
MAX_ANSWER: Final = 2000


class FieldKind(StrEnum):
    """How a field of a step is filled in."""

    LINE = "line"
    TEXT = "text"
    CHOICE = "choice"
    TICK = "tick"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One question of a step. A `TICK` that is required must be ticked."""

    name: str
    label: str
    kind: FieldKind = FieldKind.LINE
    choices: tuple[str, ...] = ()
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that a person can be asked to do.

    `operator`: it is done elsewhere, by an operator's own code (`policy.steps`);
    then `fields` are empty.
    """

    id: str
    title: str
    text: str
    fields: tuple[Field, ...] = ()
    operator: bool = False


CONFIRM: Final = Step(
    id="confirm",
    title="Confirm that you want this",
    text="Somebody who decides about this request wants to know that it is really yours.",
    fields=(Field(name="confirmed", label="Yes, I want this", kind=FieldKind.TICK),),
)
STATEMENT: Final = Step(
    id="statement",
    title="Say something about it",
    text="Somebody who decides about this request needs a word from you.",
    fields=(Field(name="statement", label="Your statement", kind=FieldKind.TEXT),),
)
# The person agrees to what another issuer asks for them: never a reviewer's to ask for.
CONSENT: Final = Step(
    id="consent",
    title="Let it act for you?",
    text="Another service says that you want this. Nothing happens until you agree here.",
)
BUILT_IN: Final[Mapping[str, Step]] = {step.id: step for step in (CONFIRM, STATEMENT)}


@dataclass(frozen=True, slots=True)
class InteractionPlan:
    """Which steps a request may need, and who may take them.

    `first` is asked at once, `offered` may be asked by a reviewer. Whoever the
    request is about may always act; `people` are others whom the policy names
    (EXT-GRANT-06).
    """

    first: str | None = None
    offered: tuple[str, ...] = ()
    people: frozenset[str] = frozenset()


NO_INTERACTION: Final = InteractionPlan()


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """Where somebody must act. `code`, `expires_in` (seconds) and `arrived` are for clients that
    can present it: to compare, to say how long, to say that somebody is there.
    """

    uri: str
    code: str | None = None
    expires_in: int | None = None
    arrived: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """A step that was taken: by whom, when, and what came of it.

    `answers` are pairs of label and value. `vouched`: an operator's own step
    brought them; otherwise they are the person's words and prove nothing.
    """

    number: int
    step: str
    title: str
    note: str | None
    person: str
    person_name: str
    answers: tuple[tuple[str, str], ...]
    vouched: bool
    at: datetime
