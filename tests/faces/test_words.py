"""Each dialect has a word for every reason, and says nothing else (DTR-ERR, OAUTH-PARAM-08)."""

import re

import pytest

from abeyance.faces.deferral import DEFERRAL
from abeyance.faces.face import Face, Words
from abeyance.pending.handles import HandleKind
from abeyance.pending.judging import Why
from tests.covers import covers

FACES = [DEFERRAL]
ALLOWED = re.compile(r"[\x20-\x21\x23-\x5B\x5D-\x7E]+")  # RFC 6749 §5.2
EVERY_WORD = [
    words for face in FACES for words in (face.pending, face.interaction, *face.refusals.values())
]


@covers("DTR-POLL-03", "DTR-POLL-04", "DTR-ERR-04", "DTR-ERR-05", "DTR-RD-04")
@pytest.mark.parametrize(
    ("why", "error"),
    [
        (Why.UNKNOWN, "invalid_grant"),
        (Why.KEY, "invalid_dpop_proof"),
        (Why.EARLY, "slow_down"),
        (Why.STOP, "invalid_request"),
        (Why.EXPIRED, "expired_token"),
        (Why.DENIED, "access_denied"),
        (Why.REDEEMED, "invalid_grant"),
    ],
)
def test_every_reason_has_the_drafts_own_error(why: Why, error: str) -> None:
    assert DEFERRAL.refusals[why].error == error


@covers("DTR-RESP-01", "DTR-ERR-02")
def test_a_request_that_waits_is_authorization_pending() -> None:
    assert DEFERRAL.pending.error == "authorization_pending"


@covers("DTR-ERR-03")
def test_a_request_that_needs_somebody_first_is_interaction_required() -> None:
    assert DEFERRAL.interaction.error == "interaction_required"


@covers("DTR-ERR-06", "T-093")
def test_the_rightful_client_can_tell_redeemed_from_unknown() -> None:
    unknown, redeemed = DEFERRAL.refusals[Why.UNKNOWN], DEFERRAL.refusals[Why.REDEEMED]
    assert unknown.error == redeemed.error
    assert unknown.description != redeemed.description


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("why", Why)
def test_a_face_without_a_word_for_a_reason_is_not_made(face: Face, why: Why) -> None:
    words = {each: face.refusals[each] for each in Why if each is not why}
    with pytest.raises(ValueError, match=why.name):
        Face("urn:x", HandleKind.DEFERRAL_CODE, "x", face.pending, face.interaction, words)


@covers("OAUTH-PARAM-08", "T-213")
@pytest.mark.parametrize("words", EVERY_WORD)
def test_words_use_only_the_characters_of_the_grammar(words: Words) -> None:
    assert ALLOWED.fullmatch(words.error)
    assert ALLOWED.fullmatch(words.description)


@covers("DTR-ERR-10", "DTR-ERR-08", "DTR-RESP-05", "T-090")
@pytest.mark.parametrize("words", EVERY_WORD)
def test_words_are_fixed_and_leave_no_place_for_data(words: Words) -> None:
    assert not set("{}%@") & set(words.description)


@covers("DTR-ERR-08", "DTR-ERR-10")
def test_progress_is_an_opaque_step() -> None:
    assert re.fullmatch(r"step=[a-z_]+", DEFERRAL.pending.description)
    assert re.fullmatch(r"step=[a-z_]+", DEFERRAL.interaction.description)


def test_the_dialect_of_the_draft_has_these_names() -> None:
    assert (DEFERRAL.grant_type, DEFERRAL.parameter) == (
        "urn:ietf:params:oauth:grant-type:deferred",
        "deferral_code",
    )
