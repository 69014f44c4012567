"""What the core asks of the store, and what it must never put there (OAUTH-AT-06, DTR-SEC-05)."""

from dataclasses import FrozenInstanceError, fields, is_dataclass
from datetime import timedelta
from typing import Any, get_args

import pytest

from abeyance.pending.change import (
    Advance,
    AnswerDevice,
    Applied,
    AuditEvent,
    BindDevice,
    CastVote,
    Change,
    ClaimDevice,
    CloseHome,
    ContestDevice,
    DerivedFrom,
    EndStanding,
    HoldFamily,
    LiveUntil,
    NewFamily,
    NoteArrival,
    Open,
    OpenDevice,
    OpenGrant,
    Pulse,
    RecordInteraction,
    Recover,
    Reseal,
    RevokeToken,
    Row,
    SealedCopy,
    SpendCode,
    SpendDevice,
    Step,
    Superseded,
    TokenRecord,
    TurnFamily,
    UseAssertion,
)
from abeyance.pending.exchanged import Source
from abeyance.pending.message import Message, MessageKind
from abeyance.pending.quota import Quota
from abeyance.pending.repetition import Delivery, Repetition
from abeyance.pending.request import Binding, Key
from abeyance.pending.standing import StandingApproval
from abeyance.pending.states import AwaitingInteraction, Cancelled, Denied, Event, Outcome
from abeyance.proofs.dpop import ProvenKey
from abeyance.store.suite.devices import a_claim, a_device
from abeyance.store.suite.ground import ANN
from abeyance.wire.secret import Secret
from tests.access.examples import access
from tests.covers import covers
from tests.pending.credentials import code, family, refresh_token, taken, used_assertion, user_grant
from tests.pending.examples import (
    BATCH,
    HOME,
    KEY,
    LIFE,
    NOW,
    OTHER_KEY,
    ballot,
    held,
    snapshot,
)

CANCEL = Advance(1, Event.CANCEL, Cancelled(), NOW)
STEPS: list[Step] = [
    Open(held(), snapshot(), Quota(client=1)),
    CANCEL,
    CastVote(1, ballot("rita", access("read"))),
    CloseHome(Event.STALE, Denied(Outcome.PRECONDITION_FAILED)),
    RevokeToken(b"jti", BATCH, NOW),
    RecordInteraction(1, taken()),
    OpenGrant(user_grant()),
    UseAssertion(used_assertion()),
    SpendCode(b"digest", NOW),
    HoldFamily(NOW),
    TurnFamily(1, NOW, NOW + LIFE, refresh_token(2), b"sealed"),
    NoteArrival(1, AwaitingInteraction(1, until=NOW + LIFE), NOW),
    Recover(1, NOW, 3),
    OpenDevice(a_device(HOME), 50, 1000),
    BindDevice("thumbprint"),
    ClaimDevice(a_claim(), NOW),
    ContestDevice(ANN, NOW),
    AnswerDevice(a_claim(), agrees=True, at=NOW),
    SpendDevice(NOW),
    EndStanding(1, NOW),
]
ROWS: list[Row] = [
    TokenRecord(
        jti=b"jti",
        n=1,
        client=BATCH,
        subject="client:batch",
        issued_at=NOW,
        expires_at=NOW + timedelta(minutes=5),
    ),
    AuditEvent(n=1, at=NOW, event="opened", actor="client:batch", detail={}),
    Pulse(),
    code(),
    NewFamily(family(), refresh_token(1)),
    DerivedFrom(Source(HOME, b"jti")),
    LiveUntil(NOW + LIFE),
    SealedCopy(1, b"sealed"),
    Repetition(1, b"key", b"fingerprint"),
    Delivery(1, access("read"), NOW + LIFE, 1),
    Message(
        n=1,
        seq=0,
        kind=MessageKind.CALLBACK,
        to=BATCH,
        sealed=b"sealed",
        due_at=None,
        on_end=True,
        until=NOW + LIFE,
    ),
    Reseal(n=1, seq=0, sealed=b"sealed"),
    StandingApproval(
        key=Key(HOME, 1),
        client=BATCH,
        subject="client:batch",
        binding=Binding(None),
        rule="rule",
        way={},
        granted=access("read"),
        approver="rita",
        approved_at=NOW,
        until=NOW + LIFE,
    ),
]


def test_the_examples_name_every_step_and_every_row() -> None:
    assert {type(step) for step in STEPS} == set(get_args(Step))
    assert {type(row) for row in ROWS} == set(get_args(Row))


@pytest.mark.parametrize("part", [*STEPS, *ROWS, Change(HOME, (CANCEL,)), Applied()])
def test_a_change_cannot_be_changed(part: Any) -> None:
    assert is_dataclass(part)
    assert not hasattr(part, "__dict__")
    for name in [field.name for field in fields(part)] or ["anything"]:
        with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
            setattr(part, name, None)


def test_the_loser_of_a_change_is_known_by_its_step() -> None:
    lost = Superseded(CANCEL, held(Cancelled()))
    match lost:
        case Superseded(lost=Advance(event=Event.CANCEL), current=current):
            assert current == held(Cancelled())
        case _:
            pytest.fail("the step is not told")


def test_cancelling_expects_no_version_so_a_vote_in_between_does_not_stop_it() -> None:
    assert CANCEL.version is None


@covers("OAUTH-AT-06", "OAUTH-DEFER-03", "DTR-SEC-05")
@pytest.mark.parametrize("part", [*STEPS, *ROWS])
def test_nothing_that_is_stored_has_a_place_for_a_secret(part: Any) -> None:
    def values(of: Any) -> list[Any]:
        if not is_dataclass(of):
            return [of]
        return [of, *(each for field in fields(of) for each in values(getattr(of, field.name)))]

    assert not any(isinstance(each, Secret) for each in values(part))
    # A field that holds a record is no place for a text: the record's own fields are.
    names = {
        field.name
        for each in values(part)
        if is_dataclass(each)
        for field in fields(each)
        if not is_dataclass(getattr(each, field.name))
    }
    assert not names & {"code", "secret", "token", "access_token", "assertion", "proof"}


# --- the request's own values


@covers("DTR-INV-03", "DTR-BIND-01", "DTR-POLL-04")
@pytest.mark.parametrize(
    ("jkt", "key", "goes_on"),
    [
        (None, None, True),
        (None, KEY, True),
        (KEY.jkt, KEY, True),
        (KEY.jkt, OTHER_KEY, False),
        (KEY.jkt, None, False),
        (KEY.jkt, ProvenKey(str(KEY.jkt).upper()), False),
        (KEY.jkt, ProvenKey(str(KEY.jkt)[:-1]), False),
        ("", None, False),
    ],
)
def test_a_binding_goes_on_with_its_own_key_only(
    jkt: str | None, key: ProvenKey | None, goes_on: bool
) -> None:
    assert Binding(jkt).continues(key) is goes_on


@covers("DTR-INV-01", "DTR-INV-04", "DTR-RD-09")
@pytest.mark.parametrize("part", [snapshot(), held(), snapshot().asked, Key(HOME, 1)])
def test_what_was_asked_is_frozen(part: Any) -> None:
    for field in fields(part):
        with pytest.raises(FrozenInstanceError):
            setattr(part, field.name, None)
