"""`abeyance policy test`: what the policy would answer, and why."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlencode

from cyclopts import Parameter

from abeyance.cli import common
from abeyance.cli.app import NO, OK
from abeyance.cli.calls import BadCall
from abeyance.oauth.asking import read_access
from abeyance.parties.client import Client
from abeyance.parties.person import PersonId
from abeyance.policy import cel
from abeyance.policy.decider import Defer, Deny, Issue, Question, Verdict
from abeyance.policy.rules import Explanation, Matched, NotMatched, Rules, Tried
from abeyance.server.settings import Settings
from abeyance.server.settings_sources import did_you_mean
from abeyance.server.settings_values import read_file, render_duration
from abeyance.wire import names
from abeyance.wire.errors import OAuthError
from abeyance.wire.form import parse_form
from abeyance.wire.strict_json import Json, JsonObject


def try_policy(
    *,
    client: str,
    scope: str | None = None,
    resource: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    authorization_details: str | None = None,
    grant_type: str = names.GRANT_CLIENT_CREDENTIALS,
    user: str | None = None,
    bound: Annotated[bool, Parameter(negative=())] = False,
    at: datetime | None = None,
    config: Path | None = None,
    output: Annotated[Literal["text", "json"], Parameter(name=["--output", "-o"])] = "text",
) -> int:
    """Ask the policy about a request, and be told which rule answered and why.

    The request is checked like one that arrives, then the policy decides;
    nothing is stored. Exit code 1 tells that the answer is no.

    Parameters
    ----------
    client
        The id of a client in the configuration.
    scope
        What it asks, separated by spaces; else its default.
    resource
        A resource server; may be repeated.
    authorization_details
        JSON, or @ and the name of a file that holds it.
    grant_type
        The grant of the first request.
    user
        The person who stands behind it, for a grant that has one.
    bound
        The request proves a DPoP key.
    at
        The instant to judge at (ISO 8601; without a zone it is UTC); else now.
    config
        The configuration file (TOML); else the one that ABEYANCE_CONFIG names.
    output
        text or json.
    """
    settings = common.load(config)
    parameters = [("scope", scope), ("authorization_details", _details(authorization_details))]
    parameters += [("resource", each) for each in resource]
    question = make_question(
        settings,
        client,
        [(name, value) for name, value in parameters if value is not None],
        grant_type=grant_type,
        user=user,
        bound=bound,
        at=datetime.now(UTC) if at is None else at if at.tzinfo else at.replace(tzinfo=UTC),
    )
    explanation = explain(settings, question)
    if output == "json":
        print(json.dumps(to_json(settings, explanation), indent=2))
    else:
        print("\n".join(to_text(settings, explanation)))
    return NO if isinstance(explanation.verdict, Deny) else OK


def make_question(
    settings: Settings,
    client_id: str,
    parameters: Sequence[tuple[str, str]],
    *,
    grant_type: str,
    user: str | None,
    bound: bool,
    at: datetime,
) -> Question:
    """Read the request as the token endpoint would. Raises `BadCall`."""
    client = _find_client(settings, client_id)
    if grant_type not in client.grant_types:
        raise BadCall(
            "--grant-type",
            f"{client_id} may not use {grant_type!r}",
            did_you_mean(grant_type, client.grant_types, "See grant_types of the client."),
        )
    of_person = grant_type != names.GRANT_CLIENT_CREDENTIALS
    if of_person and user is None:
        raise BadCall("--user", "is missing, and the grant has a person behind it", "Name one.")
    try:
        form = parse_form(urlencode(parameters).encode())
        asked = read_access(form, client, settings.types, settings.lifetimes.approval)
    except OAuthError as error:
        raise BadCall(
            "the request",
            f"would be refused before any policy: {error.error} ({error.description})",
            "Ask for what the client is registered for.",
        ) from None
    return Question(
        client=client,
        grant_type=grant_type,
        subject=user if of_person and user is not None else f"client:{client.id}",
        asked=asked,
        bound=bound,
        at=at,
        person=PersonId(user) if of_person and user is not None else None,
    )


def explain(settings: Settings, question: Question) -> Explanation:
    """Ask the rules, or the callable in their place, which explains nothing."""
    if isinstance(settings.decider, Rules):
        return settings.decider.explain(question)
    verdict: Verdict = asyncio.run(_ask(settings, question))
    return Explanation(verdict, (), (), "The policy is code and answered as a whole.")


async def _ask(settings: Settings, question: Question) -> Verdict:
    return await settings.decider.decide(question)


def to_text(settings: Settings, explanation: Explanation) -> list[str]:
    """Lines for a person."""
    lines = [f"{_word(explanation.verdict)}, says {explanation.verdict.rule}"]
    if isinstance(explanation.verdict, Defer):
        lines += [f"  {name}: {value}" for name, value in _terms(explanation.verdict).items()]
    lines += ["", explanation.because, ""]
    for tried in explanation.tried:
        lines.append(f"{_mark(tried)} {tried.rule.name}")
        if tried.rule.when is not None:
            lines.append(f"         when {' '.join(tried.rule.when.split())}")
        if isinstance(tried.found, cel.Failed):
            lines.append(f"         {tried.found.kind}: {tried.found.text}")
    lines += [f"   -     {name}" for name in explanation.untried]
    return [*lines, "", f"policy version {settings.decider.version}"]


def to_json(settings: Settings, explanation: Explanation) -> JsonObject:
    """The same for a program."""
    answer: dict[str, Json] = {
        "verdict": _word(explanation.verdict),
        "rule": explanation.verdict.rule,
        "because": explanation.because,
        "tried": [_tried(tried) for tried in explanation.tried],
        "untried": list(explanation.untried),
        "version": settings.decider.version,
    }
    if isinstance(explanation.verdict, Defer):
        answer["terms"] = _terms(explanation.verdict)
    return answer


def _tried(tried: Tried) -> JsonObject:
    shown: dict[str, Json] = {"rule": tried.rule.name, "when": tried.rule.when}
    match tried.found:
        case Matched():
            return {**shown, "found": "true"}
        case NotMatched():
            return {**shown, "found": "false"}
        case cel.Failed(kind=kind, text=text):
            return {**shown, "found": "failed", "kind": kind, "error": text}


def _word(verdict: Verdict) -> str:
    match verdict:
        case Issue():
            return "issue"
        case Deny():
            return "deny"
        case Defer():
            return "defer"


def _mark(tried: Tried) -> str:
    match tried.found:
        case Matched():
            return "  true  "
        case NotMatched():
            return "  false "
        case cel.Failed():
            return "  FAILED"


def _terms(defer: Defer) -> dict[str, Json]:
    return {
        "reviewers": ", ".join(sorted(defer.plan.reviewers)),
        "interval": render_duration(defer.interval),
        "lifetime": render_duration(defer.lifetime),
        "approval_lifetime": render_duration(defer.approval_lifetime),
    }


def _find_client(settings: Settings, client_id: str) -> Client:
    for client in settings.clients:
        if client.id == client_id:
            return client
    raise BadCall(
        "--client",
        f"{client_id!r} is not in the configuration",
        did_you_mean(
            client_id, [each.id for each in settings.clients], "Declare it in [[clients]]."
        ),
    )


def _details(text: str | None) -> str | None:
    if text is None or not text.startswith("@"):
        return text
    return read_file("--authorization-details", Path(text[1:]))
