"""A piece of work for a lane, and the future of whoever waits for it."""

import asyncio
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from abeyance.store.ports import StoreAway
from abeyance.store.sql.db import Operation
from abeyance.store.sqlite.connection import AWAY

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """`run` is driven in the lane's thread, with its connection."""

    run: Operation[T]
    waits: "asyncio.Future[Any]"


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is no answer."""

    fault: BaseException


def told(fault: BaseException) -> BaseException:
    """What a caller hears of a fault: the disk's troubles in our words, a bug as it is."""
    if isinstance(fault, AWAY):
        away = StoreAway(f"{type(fault).__name__}: {fault}")
        away.__cause__ = fault
        return away
    return fault


def settle(waits: "asyncio.Future[Any]", answer: object) -> None:
    """Tell whoever waits, unless it has gone: what is done stays done."""
    if waits.done():
        return
    if isinstance(answer, Failed):
        waits.set_exception(told(answer.fault))
    else:
        waits.set_result(answer)
