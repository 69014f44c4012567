"""From a reviewer's choice to the access it grants: less or equal, by construction.

A choice speaks of what was shown (items, parts, limits), never of raw scope or
details, so a form cannot ask for anything that the request did not (SEC-UI-17).
`check_not_wider` looks at the result all the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from abeyance.access.access import Access
from abeyance.access.details import TYPE, Detail, DetailsTypes, InvalidDetail, Keep
from abeyance.access.narrowing import Wider, check_not_wider


class ChoiceRefused(ValueError):
    """The choice cannot be granted; the message is a sentence for the reviewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a reviewer leaves of the request.

    `items`: ids of the disclosure's items that stay (`detail:0`, `scope:read`).
    Resources are not chosen one by one: without its resource a token is useless.
    `parts` and `limits` by the id of their detail; a divisible detail that is
    kept keeps exactly the parts named. `lifetime`: of the approval.
    """

    items: frozenset[str]
    parts: Mapping[str, frozenset[str]]
    limits: Mapping[str, Mapping[str, Decimal]]
    lifetime: timedelta


def choose(asked: Access, choice: Choice, types: DetailsTypes) -> Access:
    """Return what the choice grants; raise `ChoiceRefused` if that is nothing or too much."""
    known = {f"detail:{index}" for index in range(len(asked.details))} | {
        f"scope:{token}" for token in asked.scope
    }
    if not choice.items | choice.parts.keys() | choice.limits.keys() <= known:
        raise ChoiceRefused("The decision names something that was not asked for")
    if choice.lifetime < timedelta(minutes=1):
        raise ChoiceRefused("An approval must hold for at least a minute")
    granted = Access(
        scope=frozenset(token for token in asked.scope if f"scope:{token}" in choice.items),
        resources=asked.resources,
        details=_choose_details(asked, choice, types),
        lifetime=choice.lifetime,
    )
    if granted.is_empty():
        raise ChoiceRefused("Nothing is left to grant: deny the request instead")
    try:
        check_not_wider(granted, asked, types)
    except Wider as wider:
        raise ChoiceRefused(f"The {wider.dimension} would be wider than asked") from None
    return granted


def _choose_details(asked: Access, choice: Choice, types: DetailsTypes) -> tuple[Detail, ...]:
    kept: list[Detail] = []
    for index, detail in enumerate(asked.details):
        item, name = f"detail:{index}", str(detail[TYPE])
        if item not in choice.items:
            continue
        if not types.accepts(detail):
            raise ChoiceRefused("A part of the request cannot be shown, so it cannot be approved")
        kind = types[name]
        if not kind.divisible:
            if choice.parts.get(item) or choice.limits.get(item):
                # Granting it as asked would grant more than this choice says.
                raise ChoiceRefused("A part of the request is granted as asked or not at all")
            kept.append(detail)  # EXT-NARROW-03
            continue
        keep = Keep(choice.parts.get(item, frozenset()), choice.limits.get(item, {}))
        try:
            left = kind.narrow(detail, keep)
        except InvalidDetail as refused:
            raise ChoiceRefused(str(refused)) from None
        if left is not None:
            kept.append(left)
    return tuple(kept)
