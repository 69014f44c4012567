"""Steps of interactions, and which of them a rule asks for (EXT-INTERACT)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from abeyance.pending.interaction import (
    BUILT_IN,
    CONSENT,
    Field,
    FieldKind,
    InteractionPlan,
    Step,
)
from abeyance.policy.callables import NotLoaded, load
from abeyance.policy.steps import OperatorStep
from abeyance.server.settings_file import File, InteractionTable, RuleTable
from abeyance.server.settings_parties import Known
from abeyance.server.settings_sources import did_you_mean
from abeyance.server.settings_values import ConfigurationError

_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)
_ORIGIN = re.compile(
    r"https://[a-z0-9.-]+(:[0-9]{1,5})?|http://(127\.0\.0\.1|\[::1\]|localhost)(:[0-9]{1,5})?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Steps:
    """All steps by id, and the operator's own code behind some of them."""

    steps: Mapping[str, Step]
    operators: Mapping[str, OperatorStep]


def read_steps(told: File) -> Steps:
    """Read `[[interactions]]`; `confirm` and `statement` are there by themselves."""
    steps = dict(BUILT_IN)
    operators: dict[str, OperatorStep] = {}
    for table in told.interactions:
        key = f"interactions[{table.id}]"
        if not _ID.fullmatch(table.id):
            raise ConfigurationError(
                f"{key}.id", "is not an id", "Use up to 40 lower-case letters, digits, _ and -."
            )
        if table.id in steps or table.id == CONSENT.id:
            raise ConfigurationError(f"{key}.id", "is used twice", "Give each step its own id.")
        for name in ("title", "text"):
            if not getattr(table, name).strip():
                raise ConfigurationError(
                    f"{key}.{name}", "is empty", "Say to the person what is to be done."
                )
        if table.hook is not None:
            operators[table.id] = _load(f"{key}.hook", table.hook)
        steps[table.id] = Step(
            id=table.id,
            title=table.title,
            text=table.text,
            fields=_read_fields(key, table),
            operator=table.hook is not None,
        )
    return Steps(steps, operators)


def read_interaction_plan(key: str, table: RuleTable, known: Known) -> InteractionPlan:
    """Read what a rule asks for first, what its reviewers may ask, and of whom."""
    named = [("interaction", [table.interaction] if table.interaction else [])]
    named.append(("interactions", table.interactions))
    for name, steps in named:
        for step in steps:
            if step not in known.steps:
                raise ConfigurationError(
                    f"{key}.{name}",
                    f"names the step {step!r}, which is not declared",
                    did_you_mean(step, known.steps, "Declare it in [[interactions]]."),
                )
    for person in table.interaction_people:
        if person not in known.people:
            raise ConfigurationError(
                f"{key}.interaction_people",
                f"names {person!r}, who is not declared",
                did_you_mean(person, known.people, "Declare the person in [[users]]."),
            )
    return InteractionPlan(
        first=table.interaction,
        offered=tuple(table.interactions),
        people=frozenset(table.interaction_people),
    )


def _read_fields(key: str, table: InteractionTable) -> tuple[Field, ...]:
    if (table.hook is None) != bool(table.fields):
        raise ConfigurationError(
            f"{key}.fields",
            "stands beside a hook" if table.hook is not None else "is empty",
            "A step has fields, or a hook that does it elsewhere.",
        )
    names = [field.name for field in table.fields]
    fields = []
    for field in table.fields:
        said = f"{key}.fields[{field.name}]"
        if not _ID.fullmatch(field.name) or names.count(field.name) > 1:
            raise ConfigurationError(
                said, "has no name of its own", "Use lower-case letters, digits, _ and -."
            )
        if (field.kind == "choice") != bool(field.choices):
            raise ConfigurationError(
                f"{said}.choices", "does not fit the kind", "Only a choice has choices."
            )
        fields.append(
            Field(
                name=field.name,
                label=field.label,
                kind=FieldKind(field.kind),
                choices=tuple(field.choices),
                required=field.required,
            )
        )
    return tuple(fields)


def _load(key: str, name: str) -> OperatorStep:
    try:
        found = load(name)
    except NotLoaded as error:
        raise ConfigurationError(
            key, f"{name!r} {error}", "Name a module and a step in it; see python_path."
        ) from error
    missing = [each for each in ("origin", "start", "finish") if not hasattr(found, each)]
    if missing or isinstance(found, type):
        raise ConfigurationError(
            key,
            "is a class" if not missing else f"is no step: it has no {missing[0]}",
            "See OperatorStep in abeyance.policy.steps.",
        )
    step: OperatorStep = found
    if not _ORIGIN.fullmatch(step.origin):
        raise ConfigurationError(
            key, "has an origin that is none", 'Write it as "https://verify.example".'
        )
    return step
