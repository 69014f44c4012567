"""Deciders: issue, deny or defer, at request time."""

from abeyance.policy.decider import Decider as Decider
from abeyance.policy.decider import Defer as Defer
from abeyance.policy.decider import Deny as Deny
from abeyance.policy.decider import Issue as Issue
from abeyance.policy.decider import Question as Question
from abeyance.policy.decider import Verdict as Verdict
