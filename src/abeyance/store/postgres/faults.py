"""What a fault of the database means: again, lost, away, or a bug of ours.

Source: PostgreSQL 18, Appendix A (SQLSTATE).
"""

from enum import Enum, auto
from typing import Final

import asyncpg

from abeyance.store.ports import StoreAway


class Meaning(Enum):
    """What whoever meets a fault may do."""

    AGAIN = auto()  # two got in each other's way: the same, from the beginning
    LOST = auto()  # this connection, and likely every one that is as old: on a new one
    AWAY = auto()  # not now
    BUG = auto()  # never


_AGAIN: Final = frozenset({"40001", "40P01"})  # serialization failure, deadlock
_LOST: Final = frozenset(
    {
        "25006",  # read-only: this server was the one to write to, and is no more
        "25P03",  # we were silent in a transaction for too long
        "25P04",  # the transaction took too long
        "57P01",  # shutting down
        "57P02",  # crashed
        "57P03",  # starting up
        "57P04",  # the database was dropped
        "57P05",  # idle for too long
    }
)
_AWAY: Final = frozenset(
    {
        "55P03",  # a lock was not to be had in time
        "57014",  # the statement took too long
    }
)
_LOST_CLASSES: Final = frozenset({"08"})  # connections
# Damaged pages, and whatever it has no state for, such as a file that may not grow.
_ITS_OWN: Final = "XX"
_AWAY_CLASSES: Final = frozenset({"53", "58", _ITS_OWN})  # resources, the system
# A message that is no error of SQL: the connection is closed, or has never been one.
_NO_STATE: Final = (OSError, EOFError, asyncpg.InterfaceError, asyncpg.InternalClientError)


def meaning(fault: BaseException, *, closed: bool) -> Meaning:
    """Sort a fault. `closed`: the connection that it came from is closed now."""
    if isinstance(fault, TimeoutError):
        return Meaning.AWAY
    if isinstance(fault, asyncpg.PostgresError):
        state = fault.sqlstate or ""
        if state in _AGAIN:
            return Meaning.AGAIN
        if state in _LOST or state[:2] in _LOST_CLASSES:
            return Meaning.LOST
        if state in _AWAY or state[:2] in _AWAY_CLASSES:
            return Meaning.AWAY
        return Meaning.BUG
    if isinstance(fault, OSError | EOFError) or (closed and isinstance(fault, _NO_STATE)):
        return Meaning.LOST
    return Meaning.BUG


def told(fault: BaseException, *, closed: bool) -> BaseException:
    """What a caller hears: that the store is away, or the fault, without anybody's data."""
    if meaning(fault, closed=closed) is Meaning.BUG:
        # "Failing row contains (...)": a log must not repeat what a row holds.
        if isinstance(fault, asyncpg.PostgresError):
            fault.detail = fault.context = fault.internal_query = None
        if isinstance(fault, asyncpg.DataError):
            fault.args = ("a value does not fit its column",)
        return fault
    away = StoreAway(f"the database says not now ({name_of(fault)})")
    away.__cause__ = fault
    return away


def is_its_own(fault: BaseException) -> bool:
    """Has the database met a fault that its operator should look at?"""
    return isinstance(fault, asyncpg.PostgresError) and (fault.sqlstate or "")[:2] == _ITS_OWN


def name_of(fault: BaseException) -> str:
    state = getattr(fault, "sqlstate", None)
    return f"{type(fault).__name__} {state}" if state else type(fault).__name__


def unreachable(fault: BaseException) -> StoreAway:
    """Why no connection came about, in the words that an operator can act on."""
    said = str(fault).partition("\n")[0][:200]
    away = StoreAway(f"no connection to the database ({name_of(fault)}: {said})")
    away.__cause__ = fault
    return away
