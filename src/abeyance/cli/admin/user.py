"""`abeyance user list · show · add · change · invite · sessions · sign-out · disable · enable ·
erase · consents · withdraw`: people of a server, whatever their roles.
"""

import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from abeyance.cli.admin.connect import Api, NotDone, Where, at
from abeyance.cli.admin.printing import facts, pages, plain, run, table, yes_no
from abeyance.cli.calls import BadCall

_HERE = Where()
RoleName = Literal["reviewer", "administrator"]
Roles = Annotated[tuple[RoleName, ...], Parameter(negative=())]
Verified = Annotated[bool, Parameter(negative=())]


def list_users(*, role: RoleName | None = None, where: Where = _HERE) -> int:
    """List people.

    Parameters
    ----------
    role
        Only who has this role.
    """
    return run(
        where,
        lambda api: pages(api, "/people", ("role", role)),
        lambda told: table(
            [
                (
                    each["id"],
                    each["name"],
                    ", ".join(each["roles"]) or "user",
                    yes_no(each["enabled"], "", "disabled"),
                )
                for each in told["items"]
            ]
        ),
    )


def show(person: str, /, *, where: Where = _HERE) -> int:
    """Show a person, and the tag that a change must name."""

    def work(api: Api) -> Any:
        answer = api.call("GET", at("people", person))
        return answer.body | {"etag": answer.etag}

    return run(where, work, _describe)


def add(
    person: str,
    /,
    *,
    name: str,
    role: Roles = (),
    email: str | None = None,
    email_verified: Verified = False,
    where: Where = _HERE,
) -> int:
    """Add a person. Send them the link of `abeyance user invite` next.

    Parameters
    ----------
    person
        The name to sign in with; it never changes.
    name
        What others read.
    role
        reviewer or administrator; may be repeated. None: somebody for whom clients act.
    email
        What clients with the scope email are told.
    email_verified
        You vouch for it.
    """
    body = {"id": person, **_profile(name, role, email, verified=email_verified)}
    return run(where, lambda api: api.call("POST", "/people", body).body, _describe)


def change(
    person: str,
    /,
    *,
    name: str,
    if_match: str,
    role: Roles = (),
    email: str | None = None,
    email_verified: Verified = False,
    where: Where = _HERE,
) -> int:
    """Change a person's name, roles and e-mail address: all of them, to what is said here.

    Parameters
    ----------
    person
        Who.
    name
        What others read.
    if_match
        The tag that `abeyance user show` prints.
    role
        reviewer or administrator; may be repeated. None: no roles.
    email
        What clients with the scope email are told. None: nothing.
    email_verified
        You vouch for it.
    """
    body = _profile(name, role, email, verified=email_verified)
    return run(
        where,
        lambda api: api.call("PUT", at("people", person), body, if_match=if_match).body,
        _describe,
    )


def invite(person: str, /, *, where: Where = _HERE) -> int:
    """Make a one-time link, good for 15 minutes, by which a person sets their password."""
    return run(
        where,
        lambda api: api.call("POST", at("people", person, "invite")).body,
        lambda told: [told["link"]],
    )


def sign_out(person: str, /, *, where: Where = _HERE) -> int:
    """End a person's sessions by force, and what was granted in them."""
    return run(
        where, lambda api: api.call("POST", at("people", person, "sign-out")).body, _describe
    )


def disable(person: str, /, *, where: Where = _HERE) -> int:
    """Disable a person, and end their sessions, what they granted and what they asked for."""
    return run(where, lambda api: api.call("POST", at("people", person, "disable")).body, _describe)


def enable(person: str, /, *, where: Where = _HERE) -> int:
    """Enable a person again; what ended stays ended."""
    return run(where, lambda api: api.call("POST", at("people", person, "enable")).body, _describe)


def erase(person: str, /, *, yes: bool = False, where: Where = _HERE) -> int:
    """Erase a person for good. What must stay, such as their decisions, names a pseudonym.

    Parameters
    ----------
    person
        Who.
    yes
        Do not ask: for programs.
    """

    def work(api: Api) -> Any:
        if not yes:
            _make_sure(person)
        return api.call("DELETE", at("people", person)).body

    return run(where, work, lambda told: [f"Erased. In what had to stay they are {told['id']}."])


def _make_sure(person: str) -> None:
    if not sys.stdin.isatty():
        raise BadCall("--yes", "is missing", "Nobody is there who could be asked.")
    asked = f"Erase {plain(person)} for good? Type their name to sign in with: "
    print(asked, end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != person:
        raise NotDone("Nobody was erased.")


def sessions(person: str, /, *, where: Where = _HERE) -> int:
    """List where a person is signed in."""
    return run(
        where,
        lambda api: pages(api, at("people", person, "sessions")),
        lambda told: table(
            [
                (each["id"], f"signed in {each['signed_in_at']}", f"last seen {each['seen_at']}")
                for each in told["items"]
            ]
        ),
    )


def consents(person: str, /, *, where: Where = _HERE) -> int:
    """List what a person lets clients do."""
    return run(
        where,
        lambda api: pages(api, at("people", person, "consents")),
        lambda told: table(
            [
                (each["client_id"], each["client_name"], each["scope"], each["granted_at"])
                for each in told["items"]
            ]
        ),
    )


def withdraw(person: str, client_id: str, /, *, where: Where = _HERE) -> int:
    """Withdraw what a person lets a client do, and end what came of it."""
    path = at("people", person, "consents", client_id)
    return run(
        where,
        lambda api: api.call("DELETE", path).body,
        lambda _told: [f"{client_id} may do nothing for {person} any more"],
    )


def _profile(name: str, role: Roles, email: str | None, *, verified: bool) -> Mapping[str, Any]:
    return {"name": name, "roles": list(role), "email": email, "email_verified": verified}


def _describe(told: Mapping[str, Any]) -> list[str]:
    return facts(
        [
            ("person", told["id"]),
            ("name", told["name"]),
            ("roles", ", ".join(told["roles"]) or "user"),
            ("e-mail", f"{told['email'] or ''}{' (verified)' if told['email_verified'] else ''}"),
            ("state", yes_no(told["enabled"], "enabled", "disabled")),
            ("declared", yes_no(told["declared"], "in the configuration", "")),
            ("password", yes_no(told["has_password"], "set", "none yet")),
            ("sessions", str(told["sessions"])),
            ("etag", told.get("etag") or ""),
        ]
    )
