"""`abeyance review list · show · approve · deny · ask · end`.

A decision is about what was read: its digest is given (`--seen`), or the request is
shown and a person says yes at the terminal. Nothing is decided unread.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from cyclopts import Parameter

from abeyance.cli.admin.connect import Api, NotDone, Where, at
from abeyance.cli.admin.printing import facts, pages, plain, run, table
from abeyance.cli.calls import BadCall
from abeyance.server.settings_values import parse_duration

_HERE = Where()
Outcome = Literal["waiting", "approved", "redeemed", "lapsed", "denied", "cancelled", "expired"]
_SHOWN: Final = "Name what `abeyance review show` lists."
Several = Annotated[tuple[str, ...], Parameter(negative=())]


def list_requests(
    *,
    outcome: Outcome | None = "waiting",
    client: str | None = None,
    by: str | None = None,
    every: Annotated[bool, Parameter(name="--all", negative=())] = False,
    where: Where = _HERE,
) -> int:
    """List requests, the newest first: those that wait, or how others ended.

    Parameters
    ----------
    outcome
        Only those that stand so.
    client
        Only those of this client.
    by
        Only those that this person decided.
    every
        Of any outcome.
    """
    return run(
        where,
        lambda api: pages(
            api,
            "/requests",
            ("outcome", None if every else outcome),
            ("client", client),
            ("by", by),
        ),
        lambda told: table(
            [
                (
                    each["id"],
                    each["outcome"] + (", less than asked" if each["granted_less"] else ""),
                    each["client_name"],
                    each["title"],
                    f"until {each['decide_by']}"
                    if each["outcome"] == "waiting"
                    else ", ".join(each["deciders"]),
                )
                for each in told["items"]
            ]
        ),
    )


def show(request: str, /, *, where: Where = _HERE) -> int:
    """Show a request: what is asked, how it stands, what has happened."""
    return run(where, lambda api: api.call("GET", at("requests", request)).body, _describe)


def approve(
    request: str,
    /,
    *,
    seen: str | None = None,
    only: Several = (),
    part: Several = (),
    limit: Several = (),
    for_: Annotated[str | None, Parameter(name="--for")] = None,
    note: str | None = None,
    where: Where = _HERE,
) -> int:
    """Approve a request that was read, or less of it.

    Parameters
    ----------
    request
        Its id, as the list tells it.
    seen
        The digest that `show` prints; without it, the request is shown and you are asked.
    only
        Grant only this item, as `show` names it (scope:read, detail:0); may be repeated.
    part
        Of an item keep only this part, as `show` names it (detail:0/tables:1); may be repeated.
    limit
        Lower a limit of an item, as `show` names it (detail:0/budget=12.50); may be repeated.
    for_
        For at most so long, such as 30m, instead of what was asked.
    note
        A note that stays inside.
    """

    def work(api: Api) -> Any:
        less = bool(only or part or limit) or for_ is not None
        question = "Approve this, as far as you said?" if less else "Approve this?"
        stands = _read(api, request, seen, question)
        body: dict[str, Any] = {"seen": stands["seen"], "version": stands["version"], "note": note}
        if less:
            chosen = _items(stands["disclosure"], only)
            body["choice"] = {
                "items": [item["id"] for item in chosen],
                "parts": _parts(chosen, part),
                "limits": _limits(chosen, limit),
                "lifetime": stands["disclosure"]["lifetime"]
                if for_ is None
                else int(parse_duration("--for", for_).total_seconds()),
            }
        return api.call("POST", at("requests", request, "approve"), body).body

    return run(where, work, _outcome)


def deny(
    request: str,
    /,
    *,
    reason: str,
    seen: str | None = None,
    share: Annotated[bool, Parameter(negative=())] = False,
    where: Where = _HERE,
) -> int:
    """Deny a request that was read.

    Parameters
    ----------
    request
        Its id.
    reason
        Why; it stays inside unless it is shared.
    seen
        The digest that `show` prints; without it, the request is shown and you are asked.
    share
        Tell the client the reason.
    """

    def work(api: Api) -> Any:
        stands = _read(api, request, seen, "Deny this?")
        body = {
            "seen": stands["seen"],
            "version": stands["version"],
            "reason": reason,
            "share": share,
        }
        return api.call("POST", at("requests", request, "deny"), body).body

    return run(where, work, _outcome)


def ask(request: str, /, *, step: str, note: str | None = None, where: Where = _HERE) -> int:
    """Ask for a step before anybody decides.

    Parameters
    ----------
    request
        Its id.
    step
        One of those that `show` says are offered.
    note
        What the person reads beside it.
    """
    body = {"step": step, "note": note}
    return run(
        where, lambda api: api.call("POST", at("requests", request, "ask"), body).body, _outcome
    )


def end(request: str, /, *, where: Where = _HERE) -> int:
    """End what waits, and every token and grant that came of it."""
    return run(where, lambda api: api.call("POST", at("requests", request, "end")).body, _outcome)


def _read(api: Api, request: str, seen: str | None, question: str) -> Mapping[str, Any]:
    stands: Mapping[str, Any] = api.call("GET", at("requests", request)).body
    if seen is not None:
        if seen != stands["seen"]:
            raise NotDone("What you have seen is not what stands now (changed).")
        return stands
    if not sys.stdin.isatty():
        raise BadCall(
            "--seen", "is missing", f"Read it first: abeyance review show {plain(request)}."
        )
    for line in _describe(stands):
        print(line, file=sys.stderr)
    print(f"{question} [yes/no] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() != "yes":
        raise NotDone("Nothing was decided.")
    return stands


def _items(shown: Mapping[str, Any], only: Sequence[str]) -> list[Mapping[str, Any]]:
    chosen = [item for item in shown["items"] if item["kind"] != "resource"]
    if only:
        known = {item["id"] for item in chosen}
        for each in only:
            if each not in known:
                raise BadCall(
                    "--only", f"names {plain(each)!r}", f"Known: {', '.join(sorted(known))}."
                )
        chosen = [item for item in chosen if item["id"] in only]
    return chosen


def _parts(chosen: Sequence[Mapping[str, Any]], wanted: Sequence[str]) -> dict[str, list[str]]:
    """All parts of an item, or those that are named if any of it is."""
    whole = {
        item["id"]: [part for part, _label in item["parts"]] for item in chosen if item.get("parts")
    }
    named: dict[str, list[str]] = {}
    for each in wanted:
        item, _, part = each.partition("/")
        if part not in whole.get(item, ()):
            raise BadCall("--part", f"names {plain(each)!r}", _SHOWN)
        named.setdefault(item, []).append(part)
    return whole | named


def _limits(chosen: Sequence[Mapping[str, Any]], lower: Sequence[str]) -> dict[str, dict[str, str]]:
    limits = {
        item["id"]: {limit: asked for limit, _label, asked, _unit in item["limits"]}
        for item in chosen
        if item.get("limits")
    }
    for each in lower:
        place, _, amount = each.partition("=")
        item, _, limit = place.partition("/")
        if not amount or limit not in limits.get(item, ()):
            raise BadCall("--limit", f"names {plain(each)!r}", _SHOWN)
        limits[item][limit] = amount
    return limits


def _describe(told: Mapping[str, Any]) -> list[str]:
    shown = told["disclosure"]
    person = shown.get("person")
    lines = facts(
        [
            ("request", told["id"]),
            ("stands", told["outcome"]),
            ("client", f"{shown['client']['name']} ({shown['client']['id']})"),
            ("for", "" if person is None else f"{person['name']} ({person['id']})"),
            ("bound to", "a key of the client" if shown["key"] else "nothing"),
            ("decide by", shown["request"]["decide_by"]),
            ("holds for", f"{shown['lifetime']} s"),
            ("reviewers", ", ".join(told["reviewers"])),
            ("steps offered", ", ".join(told["offered_steps"])),
            ("step awaited", told["awaited_step"] or ""),
            ("seen", told["seen"]),
        ]
    )
    for item in shown["items"]:
        lines.append(f"- {item['id']}: {plain(item['title'])}")
        lines += [f"    {line}" for line in facts([tuple(pair) for pair in item.get("facts", [])])]
        lines += [
            f"    part {item['id']}/{part}: {plain(label)}" for part, label in item.get("parts", [])
        ]
        lines += [
            f"    limit {item['id']}/{limit}={asked} ({plain(label)}, {plain(unit)})"
            for limit, label, asked, unit in item.get("limits", [])
        ]
        lines += [
            f"    {plain(label)}, as the client says: {plain(text)}"
            for label, text in item.get("claims", [])
        ]
    for step in shown.get("interactions", []):
        lines.append(f"* {plain(step['title'])}, by {plain(step['person']['name'])}")
        lines += [f"    {plain(label)}: {plain(text)}" for label, text in step["answers"]]
    lines += [
        f"= {plain(vote['person_name'])}, {vote['verdict']}: {plain(vote['reason'])}"
        for vote in told["votes"]
        if vote["reason"]
    ]
    lines += table([(line["at"], f"{line['who']} {line['what']}") for line in told["story"]])
    return lines


def _outcome(told: Mapping[str, Any]) -> list[str]:
    return [f"{told['id']}: {told['outcome']}"]
