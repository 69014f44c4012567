"""What was asked, and what was done about it: cold, as documents.

What a document of an older version lacks has the meaning that it had then.
"""

from typing import Any

from abeyance.pending.exchanged import Exchanged, Source, Target
from abeyance.pending.handles import Home
from abeyance.pending.identity import Identity
from abeyance.pending.interaction import NO_INTERACTION, Interaction, InteractionPlan
from abeyance.pending.request import Held, Snapshot, Success, WayBack
from abeyance.pending.votes import ReviewPlan
from abeyance.store.sql.rows import instant, micros, parse_access, parse_json, render_json
from abeyance.wire.strict_json import Json, JsonObject


def snapshot_document(snapshot: Snapshot) -> str:
    """All but `client` and `binding`: those are columns of the request that no update changes."""
    plan = snapshot.plan
    return render_json(
        {
            "client_name": snapshot.client_name,
            "client_owner": snapshot.client_owner,
            "grant_type": snapshot.grant_type,
            "subject": snapshot.subject,
            "asked": snapshot.asked.to_json(),
            "plan": {
                "reviewers": sorted(plan.reviewers),
                "approvals": plan.approvals,
                "denials": plan.denials,
            },
            "rule": snapshot.rule,
            "policy_version": snapshot.policy_version,
            "success": snapshot.success,
            **_person_members(snapshot),
            **_exchanged_members(snapshot),
        }
    )


def _person_members(snapshot: Snapshot) -> JsonObject:
    """Only what is there, so that rows stay short."""
    members: dict[str, Json] = {}
    if snapshot.person is not None:
        members |= {
            "person": snapshot.person,
            "person_name": snapshot.person_name,
            "consent": snapshot.consent,
            "session": None if snapshot.session is None else snapshot.session.hex(),
            "auth_time": None if snapshot.auth_time is None else micros(snapshot.auth_time),
        }
    if snapshot.identity is not None:
        members["identity"] = identity_document(snapshot.identity)
    if snapshot.remember:
        members["remember"] = True
    if snapshot.refused_before:
        members["refused_before"] = snapshot.refused_before
    plan = snapshot.interaction
    if plan != NO_INTERACTION:
        members["interaction"] = {
            "first": plan.first,
            "offered": list(plan.offered),
            "people": sorted(plan.people),
        }
    for name in ("repeatable", "interactive", "collapse_outcome"):
        if getattr(snapshot, name):
            members[name] = True
    if snapshot.way_back is not None:
        members["way_back"] = [snapshot.way_back.uri, snapshot.way_back.state]
    return members


def identity_document(identity: Identity) -> JsonObject:
    return {"nonce": identity.nonce, "acr": identity.acr, "amr": list(identity.amr)}


def parse_identity(said: Any) -> Identity | None:
    if said is None:
        return None
    return Identity(nonce=said["nonce"], acr=said["acr"], amr=tuple(said["amr"]))


def _exchanged_members(snapshot: Snapshot) -> JsonObject:
    """Nothing where nobody acts for another and nothing was exchanged."""
    members: dict[str, Json] = {}
    if snapshot.asserted_by is not None:
        members["asserted_by"] = snapshot.asserted_by
    if snapshot.actor is not None:
        members["actor"] = snapshot.actor
    exchanged = snapshot.exchanged
    if exchanged is not None:
        source, target = exchanged.source, exchanged.target
        members["exchanged"] = {
            "subject_type": exchanged.subject_type,
            "issued_type": exchanged.issued_type,
            "actor_type": exchanged.actor_type,
            "source": None if source is None else [source.home.hex(), source.jti.hex()],
            "target": None if target is None else [target.issuer, target.client],
            "until": None if exchanged.until is None else micros(exchanged.until),
        }
    return members


def _parse_exchanged(said: Any) -> Exchanged | None:
    if said is None:
        return None
    source, target, until = said["source"], said["target"], said["until"]
    return Exchanged(
        subject_type=said["subject_type"],
        issued_type=said["issued_type"],
        actor_type=said["actor_type"],
        source=None if source is None else Source(*(_parse_place(source))),
        target=None if target is None else Target(*target),
        until=None if until is None else instant(until),
    )


def _parse_place(said: Any) -> tuple[Home, bytes]:
    home, jti = said
    return Home(bytes.fromhex(home)), bytes.fromhex(jti)


def parse_snapshot(held: Held, document: str) -> Snapshot:
    said = parse_json(document)
    plan = said["plan"]
    return Snapshot(
        client=held.client,
        client_name=said["client_name"],
        client_owner=said["client_owner"],
        grant_type=said["grant_type"],
        subject=said["subject"],
        asked=parse_access(said["asked"]),
        binding=held.binding,
        plan=ReviewPlan(frozenset(plan["reviewers"]), plan["approvals"], plan["denials"]),
        rule=said["rule"],
        policy_version=said["policy_version"],
        success=Success(said.get("success", Success.ACCESS_TOKEN)),
        person=said.get("person"),
        person_name=said.get("person_name"),
        consent=said.get("consent"),
        session=bytes.fromhex(said["session"]) if said.get("session") else None,
        auth_time=instant(said["auth_time"]) if said.get("auth_time") is not None else None,
        interaction=_parse_plan(said.get("interaction")),
        repeatable=said.get("repeatable", False),
        interactive=said.get("interactive", False),
        way_back=WayBack(*said["way_back"]) if "way_back" in said else None,
        collapse_outcome=said.get("collapse_outcome", False),
        asserted_by=said.get("asserted_by"),
        actor=said.get("actor"),
        exchanged=_parse_exchanged(said.get("exchanged")),
        identity=parse_identity(said.get("identity")),
        remember=said.get("remember", False),
        refused_before=said.get("refused_before", 0),
    )


def _parse_plan(said: Any) -> InteractionPlan:
    if said is None:
        return NO_INTERACTION
    return InteractionPlan(said["first"], tuple(said["offered"]), frozenset(said["people"]))


def interaction_document(done: Interaction) -> str:
    return render_json(
        {
            "step": done.step,
            "title": done.title,
            "note": done.note,
            "person": done.person,
            "person_name": done.person_name,
            "answers": [[label, value] for label, value in done.answers],
            "vouched": done.vouched,
            "at": micros(done.at),
        }
    )


def parse_interaction(number: int, document: str) -> Interaction:
    said = parse_json(document)
    return Interaction(
        number=number,
        step=said["step"],
        title=said["title"],
        note=said["note"],
        person=said["person"],
        person_name=said["person_name"],
        answers=tuple((label, value) for label, value in said["answers"]),
        vouched=said["vouched"],
        at=instant(said["at"]),
    )
