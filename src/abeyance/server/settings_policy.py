"""What of the configuration is code or leads to code: details types, rules, the decider."""

import importlib.metadata
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from abeyance.access.details import DetailsType, DetailsTypes
from abeyance.pending.votes import ReviewPlan
from abeyance.policy.callables import NotLoaded, load, load_decider
from abeyance.policy.decider import Decider, Defer, Deny, Issue, Verdict
from abeyance.policy.rules import BadRule, Rule, Rules
from abeyance.server.settings_file import File, RuleTable
from abeyance.server.settings_interactions import read_interaction_plan
from abeyance.server.settings_parties import Known
from abeyance.server.settings_sources import Sources, did_you_mean
from abeyance.server.settings_values import (
    Caution,
    ConfigurationError,
    parse_bounded,
    render_duration,
)

DETAILS_TYPES_GROUP: Final = "abeyance.details_types"

SECOND: Final = timedelta(seconds=1)
LONGEST_WAITING: Final = timedelta(days=30)
LONGEST_INTERVAL: Final = timedelta(seconds=600)
LONGEST_APPROVAL: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """`waiting`: how long a client may poll. `approval`: how long an approval holds.

    `authorization`: how long a person may take to answer an authorization request.
    `pushed`: for how long one that was pushed can be opened.
    `device`: of a device code and its user code.
    `refresh`: how long a family of refresh tokens may live, `refresh_idle` unused.
    `long_poll`: how long a poll may be held. `interaction`: how long the address of a step
    lives, where its client is told so.
    `cool_down`: after the second refusal of the same; zero turns it off.
    """

    access_token: timedelta
    code: timedelta
    authorization: timedelta
    pushed: timedelta
    device: timedelta
    refresh_idle: timedelta
    refresh: timedelta
    refresh_grace: timedelta
    waiting: timedelta
    interval: timedelta
    long_poll: timedelta
    interaction: timedelta
    approval: timedelta
    id_jag: timedelta
    cool_down: timedelta


def read_lifetimes(told: File) -> Lifetimes:
    waiting = parse_bounded(
        "lifetimes.waiting", told.lifetimes.waiting, at_least=SECOND, at_most=LONGEST_WAITING
    )
    interval = parse_bounded(
        "lifetimes.interval", told.lifetimes.interval, at_least=SECOND, at_most=LONGEST_INTERVAL
    )
    _check_time_to_poll("lifetimes.interval", interval, waiting)
    return Lifetimes(
        access_token=parse_bounded(
            "lifetimes.access_token",
            told.lifetimes.access_token,
            at_least=SECOND,
            at_most=timedelta(hours=1),
        ),
        code=_of_lifetimes(told, "code", at_most=timedelta(minutes=10)),
        authorization=_of_lifetimes(told, "authorization", at_most=timedelta(hours=1)),
        pushed=_of_lifetimes(
            told, "pushed", at_least=timedelta(seconds=5), at_most=timedelta(seconds=599)
        ),
        device=_of_lifetimes(
            told, "device", at_least=timedelta(minutes=2), at_most=timedelta(minutes=30)
        ),
        refresh_idle=_of_lifetimes(told, "refresh_idle", at_most=timedelta(days=90)),
        refresh=_of_lifetimes(told, "refresh", at_most=timedelta(days=365)),
        refresh_grace=_of_lifetimes(
            told, "refresh_grace", at_least=timedelta(), at_most=timedelta(seconds=60)
        ),
        waiting=waiting,
        interval=interval,
        # Proxies and clients give up at half a minute (EXT-WAIT-01).
        long_poll=_of_lifetimes(told, "long_poll", at_most=timedelta(seconds=30)),
        interaction=_of_lifetimes(told, "interaction", at_most=LONGEST_WAITING),
        approval=parse_bounded(
            "lifetimes.approval",
            told.lifetimes.approval,
            at_least=SECOND,
            at_most=LONGEST_APPROVAL,
        ),
        id_jag=_of_lifetimes(told, "id_jag", at_most=timedelta(minutes=10)),
        cool_down=_of_lifetimes(
            told, "cool_down", at_least=timedelta(), at_most=timedelta(hours=24)
        ),
    )


def _of_lifetimes(
    told: File, name: str, *, at_most: timedelta, at_least: timedelta = SECOND
) -> timedelta:
    text: str = getattr(told.lifetimes, name)
    return parse_bounded(f"lifetimes.{name}", text, at_least=at_least, at_most=at_most)


def _check_time_to_poll(key: str, interval: timedelta, waiting: timedelta) -> None:
    if interval >= waiting:
        raise ConfigurationError(
            key,
            f"{render_duration(interval)} leaves no poll in a wait of {render_duration(waiting)}",
            "Make the interval shorter or the wait longer.",
        )


# --- authorization_details types


_TYPE_MEMBERS: Final = (
    "name", "divisible", "validate", "covers", "render", "parts", "limits", "narrow",
)  # fmt: skip


def importable(told: File, sources: Sources) -> AbstractContextManager[None]:
    """Let `module:name` find modules in `python_path`, behind everything installed."""
    return _importable([sources.resolve("python_path", each) for each in told.python_path])


def read_types(told: File, sources: Sources) -> DetailsTypes:
    types: list[DetailsType] = []
    with importable(told, sources):
        for index, name in enumerate(told.authorization_details_types):
            key = f"authorization_details_types[{index}]"
            found = _load_type(key, name)
            if any(each.name == found.name for each in types):
                raise ConfigurationError(
                    key, f"is a second type called {found.name!r}", "List each type once."
                )
            types.append(found)
    return DetailsTypes(types)


def _load_type(key: str, name: str) -> DetailsType:
    if ":" not in name:
        return _check_type(key, _load_entry_point(key, name))
    try:
        return _check_type(key, load(name))
    except NotLoaded as error:
        raise ConfigurationError(
            key, f"{name!r} {error}", "Name a module and a type in it; see python_path."
        ) from error


def _load_entry_point(key: str, name: str) -> object:
    found = importlib.metadata.entry_points(group=DETAILS_TYPES_GROUP)
    if name not in found.names:
        raise ConfigurationError(
            key,
            f"{name!r} is no entry point of {DETAILS_TYPES_GROUP}",
            did_you_mean(
                name, found.names, 'Install the package that has it, or name "module:name".'
            ),
        )
    loaded: object = found[name].load()
    return loaded


def _check_type(key: str, found: object) -> DetailsType:
    missing = [member for member in _TYPE_MEMBERS if not hasattr(found, member)]
    if missing or isinstance(found, type):
        raise ConfigurationError(
            key,
            "is a class" if not missing else f"is no details type: it has no {missing[0]}",
            "Make one with abeyance.access.members.declare.",
        )
    kind: DetailsType = found  # type: ignore[assignment]  # every member of the protocol is there
    return kind


@contextmanager
def _importable(folders: Sequence[Path]) -> Iterator[None]:
    added = [str(folder) for folder in folders if str(folder) not in sys.path]
    sys.path.extend(added)
    try:
        yield
    finally:
        for folder in added:
            sys.path.remove(folder)


# --- policy


def read_policy(told: File, known: Known, lifetimes: Lifetimes) -> Decider:
    if told.policy is None:
        if not told.rules:
            known.warnings.append(Caution("rules", "there are none, so every request is denied"))
        return _read_rules(told.rules, known, lifetimes)
    if told.rules:
        raise ConfigurationError(
            "policy", "stands beside [[rules]]", "Keep one of them: policy takes the rules' place."
        )
    try:
        with importable(told, known.sources):
            return load_decider(told.policy)
    except NotLoaded as error:
        raise ConfigurationError(
            "policy", f"{told.policy!r} {error}", 'Name a function as "module:name".'
        ) from error


def _read_rules(tables: Sequence[RuleTable], known: Known, lifetimes: Lifetimes) -> Rules:
    rules = [Rule(_read_verdict(table, known, lifetimes), table.when) for table in tables]
    try:
        return Rules(rules)
    except BadRule as error:
        raise ConfigurationError(
            f"rules[{error.rule}].{error.part}", error.problem, error.fix
        ) from None


_OF_DEFERRAL: Final = (
    "reviewers", "interval", "lifetime", "approval_lifetime", "remember", "interaction",
    "interactions", "interaction_people",
)  # fmt: skip


def _read_verdict(table: RuleTable, known: Known, lifetimes: Lifetimes) -> Verdict:
    key = f"rules[{table.name}]"
    if table.then != "defer":
        for name in _OF_DEFERRAL:
            if getattr(table, name) not in (None, []):
                raise ConfigurationError(
                    f"{key}.{name}",
                    f'has no use with then = "{table.then}"',
                    'Leave it out, or write then = "defer".',
                )
        return Issue(table.name) if table.then == "issue" else Deny(table.name)
    if not table.reviewers:
        raise ConfigurationError(
            f"{key}.reviewers", "is missing", "Name who may decide; any one of them decides."
        )
    for reviewer in table.reviewers:
        if reviewer not in known.people:
            raise ConfigurationError(
                f"{key}.reviewers",
                f"names {reviewer!r}, who is not declared",
                did_you_mean(reviewer, known.people, "Declare the person in [[reviewers]]."),
            )
    if not any(known.people[reviewer].password_hash for reviewer in table.reviewers):
        known.warnings.append(
            Caution(f"{key}.reviewers", "none of them has a password, so nobody can decide")
        )
    waiting = _of_rule(f"{key}.lifetime", table.lifetime, lifetimes.waiting, LONGEST_WAITING)
    interval = _of_rule(f"{key}.interval", table.interval, lifetimes.interval, LONGEST_INTERVAL)
    _check_time_to_poll(f"{key}.interval", interval, waiting)
    return Defer(
        rule=table.name,
        plan=ReviewPlan(frozenset(table.reviewers)),
        interval=interval,
        lifetime=waiting,
        approval_lifetime=_of_rule(
            f"{key}.approval_lifetime",
            table.approval_lifetime,
            lifetimes.approval,
            LONGEST_APPROVAL,
        ),
        interaction=read_interaction_plan(key, table, known),
        collapse_outcome=table.collapse_outcome,
        remember=table.remember is True,
    )


def _of_rule(key: str, text: str | None, default: timedelta, at_most: timedelta) -> timedelta:
    return default if text is None else parse_bounded(key, text, at_least=SECOND, at_most=at_most)
