"""What votes add up to: the intersection, a veto, nothing from outside (EXT-DECIDE-02, -03)."""

from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abeyance.access.access import Access
from abeyance.access.narrowing import check_not_wider
from abeyance.pending.votes import MAX_REMARK, Grant, Refuse, ReviewPlan, Undecided, weigh
from tests.access.examples import HOUR, TYPES, access, account, payment
from tests.covers import covers
from tests.pending.examples import ballot, review_plan

ASKED = access("a b c")


@covers("EXT-DECIDE-02")
@pytest.mark.parametrize("needed", [1, 2, 3, 5])
def test_the_last_needed_approval_decides_and_none_before_it(needed: int) -> None:
    people = [f"p{n}" for n in range(5)]
    plan = review_plan(*people, approvals=needed)
    votes = [ballot(person, ASKED) for person in people]
    for count in range(needed):
        assert weigh(plan, votes[:count], TYPES) == Undecided()
    assert weigh(plan, votes[:needed], TYPES) == Grant(ASKED)
    assert weigh(plan, votes, TYPES) == Grant(ASKED)


@covers("EXT-DECIDE-02")
@pytest.mark.parametrize("needed", [1, 2, 4])
def test_the_last_needed_denial_decides_and_none_before_it(needed: int) -> None:
    people = [f"p{n}" for n in range(4)]
    plan = review_plan(*people, approvals=4, denials=needed)
    votes = [ballot(person, None) for person in people]
    for count in range(needed):
        assert weigh(plan, votes[:count], TYPES) == Undecided()
    assert weigh(plan, votes[:needed], TYPES) == Refuse(None)


@covers("EXT-DECIDE-02", "EXT-DECIDE-12")
def test_nobodys_vote_is_no_decision() -> None:
    assert weigh(review_plan("rita"), [], TYPES) == Undecided()


@covers("EXT-DECIDE-02")
def test_one_denial_is_a_veto_by_default_whenever_it_comes() -> None:
    plan = review_plan("p", "q", "r", approvals=2)
    votes = [ballot("p", ASKED), ballot("q", ASKED), ballot("r", None)]
    assert weigh(plan, votes[:2], TYPES) == Grant(ASKED)
    for order in permutations(votes):
        assert weigh(plan, order, TYPES) == Refuse(None)


def test_a_denial_below_its_threshold_does_not_stop_the_others() -> None:
    plan = review_plan("p", "q", "r", approvals=2, denials=2)
    votes = [ballot("p", None), ballot("q", ASKED), ballot("r", ASKED)]
    assert weigh(plan, votes[:2], TYPES) == Undecided()
    assert weigh(plan, votes, TYPES) == Grant(ASKED)


@covers("EXT-DECIDE-03")
@pytest.mark.parametrize("stranger", ["mallory", "", "Rita", "rita ", "client:batch"])
def test_a_vote_from_outside_the_plan_does_not_count(stranger: str) -> None:
    plan = review_plan("rita", "rolf", approvals=2)
    votes = [ballot("rita", ASKED), ballot(stranger, ASKED), ballot(stranger, None)]
    assert weigh(plan, votes, TYPES) == Undecided()


# --- what is granted


@covers("SEC-RACE-11", "EXT-DECIDE-02", "DTR-INV-01")
def test_what_is_granted_is_what_all_allow_and_never_what_one_does() -> None:
    plan = review_plan("p", "q", approvals=2)
    votes = [
        ballot("p", access("a b", payment("1"), payment("2"))),
        ballot("q", access("b c", payment("2"), payment("3"), lifetime=HOUR / 2)),
    ]
    assert weigh(plan, votes, TYPES) == Grant(access("b", payment("2"), lifetime=HOUR / 2))


@covers("SEC-RACE-11")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (access("a"), access("b")),
        (access("", payment("1")), access("", payment("2"))),
        (access("", account("read")), access("", account("close"))),
        (access("a"), access("", payment("1"))),
    ],
)
def test_approvals_without_common_ground_are_no_approval(one: Access, other: Access) -> None:
    plan = review_plan("p", "q", approvals=2)
    assert weigh(plan, [ballot("p", one), ballot("q", other)], TYPES) == Refuse(None)


@covers("DTR-INV-01")
def test_an_approval_beyond_the_threshold_can_only_take_away() -> None:
    plan = review_plan("p", "q", "r", approvals=2)
    votes = [ballot("p", ASKED), ballot("q", ASKED), ballot("r", access("c"))]
    assert weigh(plan, votes, TYPES) == Grant(access("c"))


@covers("T-150", "DTR-INV-01", "EXT-DECIDE-02")
@given(
    st.lists(
        st.tuples(
            st.sampled_from("pqrst"),
            st.none() | st.frozensets(st.sampled_from("abc"), min_size=1),
        ),
        unique_by=lambda vote: vote[0],
        max_size=5,
    ),
    st.integers(1, 4),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_a_decision_is_the_same_sum_in_whatever_order_the_votes_came(
    cast: list[tuple[str, frozenset[str] | None]], approvals: int, denials: int, order: Random
) -> None:
    # `t` is outside the plan.
    plan = review_plan("p", "q", "r", "s", approvals=approvals, denials=denials)
    votes = [
        ballot(voter, None if scope is None else access(" ".join(scope))) for voter, scope in cast
    ]
    decision = weigh(plan, votes, TYPES)
    counted = [(voter, scope) for voter, scope in cast if voter != "t"]
    yes = [scope for _, scope in counted if scope is not None]
    no = len(counted) - len(yes)
    common = frozenset[str]("abc").intersection(*yes)
    if no >= denials or (len(yes) >= approvals and not common):
        assert decision == Refuse(None)
    elif len(yes) < approvals:
        assert decision == Undecided()
    else:
        assert decision == Grant(access(" ".join(common)))
        check_not_wider(access(" ".join(common)), ASKED, TYPES)
    order.shuffle(votes)
    assert weigh(plan, votes, TYPES) == decision


# --- remarks


@covers("EXT-OUTCOME-03", "SEC-TOK-23")
def test_a_reason_leaves_the_house_only_if_its_reviewer_says_so() -> None:
    plan = review_plan("p", "q", denials=2)
    hidden = ballot("p", None, reason="contact x@corp.example, rule 7, risk 0.93")
    shared = ballot("q", None, reason="ask for less", shareable=True)
    assert weigh(review_plan("p"), [hidden], TYPES) == Refuse(None)
    assert weigh(plan, [hidden, shared], TYPES) == Refuse("ask for less")


@covers("EXT-OUTCOME-03")
def test_a_remark_is_cut_at_its_bound() -> None:
    long = ballot("p", None, reason="x" * (MAX_REMARK + 1), shareable=True)
    assert MAX_REMARK == 240
    assert weigh(review_plan("p"), [long], TYPES) == Refuse("x" * 240)


@covers("EXT-OUTCOME-03")
def test_the_reason_of_an_approval_or_of_a_stranger_is_never_the_remark() -> None:
    plan = review_plan("p", "q", approvals=2)
    votes = [
        ballot("p", ASKED, reason="fine by me", shareable=True),
        ballot("mallory", None, reason="mine", shareable=True),
        ballot("q", None),
    ]
    assert weigh(plan, votes, TYPES) == Refuse(None)


# --- plans


@pytest.mark.parametrize(
    ("reviewers", "approvals", "denials"),
    [((), 1, 1), (("p",), 0, 1), (("p",), 1, 0), (("p",), 2, 1), (("p",), 1, 2), (("p",), -1, 1)],
)
def test_a_plan_that_nobody_could_meet_or_everybody_has_met_is_not_made(
    reviewers: tuple[str, ...], approvals: int, denials: int
) -> None:
    with pytest.raises(ValueError):
        ReviewPlan(frozenset(reviewers), approvals, denials)
