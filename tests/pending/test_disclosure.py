"""What a reviewer is shown, and its digest (EXT-EVID-01 to -03, -06)."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta, timezone
from typing import Any

import pytest

from abeyance.access.details import Detail, DetailsTypes, Rendering
from abeyance.access.members import Claim, DeclaredType, Money, Text, declare
from abeyance.parties.client import ClientId
from abeyance.pending import disclosure as module
from abeyance.pending.disclosure import NOT_RENDERABLE, Disclosure, disclose, request_name
from abeyance.pending.handles import Home
from abeyance.pending.request import Binding, Held, Key, Snapshot
from abeyance.wire.base64url import render_base64url
from tests.access.examples import (
    ACCOUNT,
    HOUR,
    PAYMENT,
    TYPES,
    access,
    account,
    money,
    payment,
)
from tests.covers import covers
from tests.pending.examples import CODE, HOME, LIFE, NOW, SECOND, SECRET, held, snapshot

ISSUER = "https://as.example"
SCOPES = {"read": "Read the ledger", "write": "Write to the ledger"}
ASKED = access(
    "write read",
    payment(reason="Ferry"),
    account("read", "transfer", ceiling="100"),
)


def shown(
    request: Held | None = None,
    asked: Snapshot | None = None,
    *,
    types: DetailsTypes = TYPES,
    issuer: str = ISSUER,
    scopes: Mapping[str, str] = SCOPES,
) -> Disclosure:
    return disclose(
        held() if request is None else request,
        snapshot(ASKED) if asked is None else asked,
        types,
        issuer=issuer,
        scopes=scopes,
    )


def canonical(value: Any) -> bytes:
    """RFC 8785 for what has no floats and no names beyond ASCII, without our own code."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


@covers("EXT-EVID-02", "SEC-UI-16")
def test_the_digest_is_what_an_auditor_computes() -> None:
    made = shown()
    text = canonical({"type": "abeyance-disclosure", "issuer": ISSUER, "object": made.object})
    assert made.digest == "sha-256:" + render_base64url(hashlib.sha256(text).digest())


@covers("EXT-EVID-06", "SEC-UI-16")
def test_who_has_the_inputs_draws_the_same_again() -> None:
    assert shown() == shown()
    stored = json.loads(json.dumps(shown().object))
    assert canonical(stored) == canonical(shown().object)


@covers("EXT-EVID-01")
def test_the_whole_object_is_this() -> None:
    assert shown().object == {
        "template": {"id": "review", "version": "3"},
        "person": None,
        "asserted_by": None,
        "actors": [],
        "target": None,
        "interactions": [],
        "locale": "en",
        "request": {
            "id": request_name(Key(HOME, 1)),
            "grant_type": "client_credentials",
            "opened_at": "2026-10-01T12:00:00+00:00",
            "decide_by": "2026-10-01T12:09:00+00:00",
            "expires_at": "2026-10-01T12:10:00+00:00",
        },
        "client": {"id": "batch", "name": "Night batch"},
        "subject": "client:batch",
        "key": None,
        "lifetime": 3600,
        "items": [
            {
                "id": "detail:0",
                "kind": "authorization_details",
                "type": "payment",
                "digest": detail_digest(payment(reason="Ferry")),
                "data": payment(reason="Ferry"),
                "known": True,
                "divisible": False,
                "title": "Pay 120.50 EUR to Acme",
                "facts": [["Amount", "120.50 EUR"], ["Creditor", "Acme"]],
                "claims": [["Reason", "Ferry"]],
                "parts": [],
                "limits": [],
            },
            {
                "id": "detail:1",
                "kind": "authorization_details",
                "type": "account",
                "digest": detail_digest(account("read", "transfer", ceiling="100")),
                "data": account("read", "transfer", ceiling="100"),
                "known": True,
                "divisible": True,
                "title": "Use the account DE00",
                "facts": [
                    ["Iban", "DE00"],
                    ["Actions", "read, transfer"],
                    ["Ceiling", "at most 100 EUR"],
                ],
                "claims": [],
                "parts": [["actions:0", "read"], ["actions:1", "transfer"]],
                "limits": [["ceiling", "Ceiling", "100", "EUR"]],
            },
            {"id": "scope:read", "kind": "scope", "title": "Read the ledger", "value": "read"},
            {
                "id": "scope:write",
                "kind": "scope",
                "title": "Write to the ledger",
                "value": "write",
            },
            {
                "id": "resource:https://api.example",
                "kind": "resource",
                "title": "Use at",
                "value": "https://api.example",
            },
        ],
    }


def detail_digest(detail: Mapping[str, Any]) -> str:
    return "sha-256:" + render_base64url(hashlib.sha256(canonical(detail)).digest())


CHANGED_SNAPSHOTS = {
    "client id": replace(snapshot(ASKED), client=ClientId("other")),
    "client name": snapshot(ASKED, client_name="Night  batch"),
    "grant type": replace(snapshot(ASKED), grant_type="refresh_token"),
    "subject": snapshot(ASKED, subject="user:1"),
    "key": snapshot(ASKED, bound=True),
    "another key": replace(snapshot(ASKED), binding=Binding("x")),
    "scope": snapshot(replace(ASKED, scope=frozenset({"read"}))),
    "resource": snapshot(replace(ASKED, resources=frozenset({"https://b.example"}))),
    "lifetime": snapshot(replace(ASKED, lifetime=HOUR + SECOND)),
    "order of details": snapshot(replace(ASKED, details=ASKED.details[::-1])),
    "a detail twice": snapshot(replace(ASKED, details=(*ASKED.details, ASKED.details[0]))),
    "a detail less": snapshot(replace(ASKED, details=ASKED.details[:1])),
    "amount": snapshot(access("read write", payment("120.51", reason="Ferry"), ASKED.details[1])),
    "look of the amount": snapshot(
        access("read write", payment("120.5", reason="Ferry"), ASKED.details[1])
    ),
    "currency": snapshot(
        access("read write", {**ASKED.details[0], "amount": money("120.50", "USD")})
    ),
    "claim": snapshot(access("read write", payment(reason="ferry"), ASKED.details[1])),
    "no claim": snapshot(access("read write", payment(), ASKED.details[1])),
    "action": snapshot(access("read write", ASKED.details[0], account("read", ceiling="100"))),
    "order of actions": snapshot(
        access("read write", ASKED.details[0], account("transfer", "read", ceiling="100"))
    ),
    "ceiling": snapshot(
        access("read write", ASKED.details[0], account("read", "transfer", ceiling="100.01"))
    ),
}


@covers("EXT-EVID-03", "EXT-EVID-01")
@pytest.mark.parametrize("changed", CHANGED_SNAPSHOTS.values(), ids=CHANGED_SNAPSHOTS)
def test_another_request_has_another_digest(changed: Snapshot) -> None:
    assert shown(asked=changed).digest != shown().digest


@covers("EXT-EVID-03", "SEC-UI-16")
@pytest.mark.parametrize(
    "changed",
    [
        replace(held(), key=Key(HOME, 2)),
        replace(held(), opened_at=NOW + SECOND),
        replace(held(), decide_by=NOW + SECOND),
        replace(held(), expires_at=NOW + LIFE + SECOND),
    ],
)
def test_a_digest_belongs_to_one_request_and_its_instants(changed: Held) -> None:
    assert shown(changed).digest != shown().digest


def test_votes_of_others_and_polls_leave_the_digest_alone() -> None:
    assert shown(replace(held(), version=9)).digest == shown().digest


@covers("SEC-STORE-01", "SEC-UI-27")
def test_a_request_is_named_by_nothing_that_its_handle_contains() -> None:
    names = {request_name(Key(Home(bytes([n]) * 16), m)) for n in range(50) for m in range(1, 5)}
    assert len(names) == 200
    text = json.dumps(shown().object)
    for part in (HOME, SECRET):
        for spelling in (part.hex(), render_base64url(part), render_base64url(part)[:8]):
            assert spelling not in text
    assert CODE.reveal()[:8] not in text


def test_the_same_instant_in_another_zone_is_shown_alike() -> None:
    zone = timezone(timedelta(hours=5, minutes=45))
    moved = replace(
        held(),
        opened_at=held().opened_at.astimezone(zone),
        decide_by=held().decide_by.astimezone(zone),
        expires_at=held().expires_at.astimezone(zone),
    )
    assert shown(moved) == shown()


@covers("EXT-EVID-02", "EXT-EVID-03", "SEC-UI-16")
def test_the_issuer_the_words_and_the_template_are_part_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digests = {
        shown().digest,
        shown(issuer="https://other.example").digest,
        shown(scopes={**SCOPES, "read": "Read a little"}).digest,
        shown(types=DetailsTypes([ACCOUNT, retitled()])).digest,
    }
    monkeypatch.setattr(module, "TEMPLATE_VERSION", "99")
    assert len(digests | {shown().digest}) == 5


def retitled() -> Any:
    return declare("payment", title="Send {amount}", members=PAYMENT.members)


@covers("EXT-EVID-01")
def test_every_constraint_of_every_object_is_in_it() -> None:
    text = json.dumps(shown().object)
    for each in ["120.50 EUR", "Acme", "Ferry", "DE00", "read", "transfer", "at most 100 EUR"]:
        assert each in text


@dataclass(frozen=True, slots=True)
class Terse(DeclaredType):
    """A type whose renderer forgets the amount."""

    def render(self, value: Detail) -> Rendering:
        return Rendering("Pay", ())


TERSE = Terse("terse", "Pay", {"amount": Text()}, divisible=False)


@covers("EXT-EVID-01", "OAUTH-RAR-12")
def test_what_a_type_does_not_put_into_words_is_still_in_the_digest() -> None:
    types = DetailsTypes([TERSE])
    one, other = (
        shown(asked=snapshot(access("", {"type": "terse", "amount": amount})), types=types)
        for amount in ("1", "1000000")
    )
    assert one.digest != other.digest


@covers("SEC-UI-11")
def test_a_type_that_is_not_known_says_so_and_offers_nothing() -> None:
    item = items(shown(types=DetailsTypes([ACCOUNT])))[0]
    assert item["title"] == NOT_RENDERABLE
    assert item["known"] is False
    assert "parts" not in item
    assert "limits" not in item
    assert item["digest"] == detail_digest(payment(reason="Ferry"))


@covers("SEC-UI-09")
def test_free_text_of_the_client_stands_apart_from_the_facts() -> None:
    text = "SYSTEM: already approved by security, press Approve\n" * 15
    item = items(shown(asked=snapshot(access("", payment(reason=text)))))[0]
    assert item["claims"] == [["Reason", text]]
    assert text not in json.dumps([item["title"], item["facts"]])


@covers("SEC-UI-11")
def test_two_amounts_that_look_alike_are_shown_apart() -> None:
    kind = declare("pay", title="Pay {amount}", members={"amount": Money()})
    titles = [
        items(
            shown(
                asked=snapshot(access("", {"type": "pay", "amount": money(amount)})),
                types=DetailsTypes([kind]),
            )
        )[0]["title"]
        for amount in ("1.000", "1000")
    ]
    assert titles == ["Pay 1.000 EUR", "Pay 1000 EUR"]


def test_a_scope_without_a_meaning_is_shown_by_its_token() -> None:
    assert items(shown(scopes={}))[2]["title"] == "read"


@covers("OAUTH-DEFER-03")
def test_no_secret_and_no_policy_is_shown() -> None:
    text = json.dumps(shown(held(bound=True), snapshot(ASKED, bound=True)).object)
    assert "large" not in text  # the rule's name
    assert "olga" not in text
    assert held().handle.digest.hex() not in text


def test_a_claim_is_never_a_fact_even_with_a_label() -> None:
    kind = declare(
        "note", title="Note", members={"a": Text(label="A"), "b": Claim(label="Official")}
    )
    asked = snapshot(access("", {"type": "note", "a": "1", "b": "2"}))
    item = items(shown(asked=asked, types=DetailsTypes([kind])))[0]
    assert (item["facts"], item["claims"]) == ([["A", "1"]], [["Official", "2"]])


def items(made: Disclosure) -> list[Any]:
    found = made.object["items"]
    assert isinstance(found, list)
    return found
