"""Look-ups that leave together."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from abeyance.store.ports import StoreAway
from abeyance.store.postgres.gather import ENOUGH, MOST_AT_ONCE, Gathered


class Book:
    """Answers when it is told to, and remembers what it was asked."""

    def __init__(self, **entries: int) -> None:
        self.entries = entries
        self.asked: list[list[str]] = []
        self.came = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.fault: Exception | None = None

    async def ask(self, keys: Sequence[str]) -> Mapping[str, int]:
        self.asked.append(sorted(keys))
        self.came.set()
        await self.open.wait()
        if self.fault is not None:
            raise self.fault
        return {key: self.entries[key] for key in keys if key in self.entries}


async def test_what_is_asked_within_a_turn_of_the_loop_leaves_as_one() -> None:
    book = Book(a=1, b=2)
    look_up = Gathered(book.ask)
    found = await asyncio.gather(*(look_up.find(key) for key in ("a", "b", "c", "a")))
    assert found == [1, 2, None, 1]
    assert book.asked == [["a", "b", "c"]]


async def test_whoever_asks_while_a_statement_is_under_way_is_answered_by_a_later_one() -> None:
    book = Book(a=1)
    look_up = Gathered(book.ask, under_way=1)
    book.open.clear()
    first = look_up.find("a")
    await book.came.wait()
    second = look_up.find("a")
    third = look_up.find("b")
    await asyncio.sleep(0)
    book.entries["b"] = 7
    book.open.set()
    assert [await first, await second, await third] == [1, 1, 7]
    assert book.asked == [["a"], ["a", "b"]]


async def test_a_few_wait_for_the_statement_under_way_and_many_get_one_beside_it() -> None:
    book = Book()
    look_up = Gathered(book.ask)
    book.open.clear()
    waiting = [look_up.find("first")]
    await book.came.wait()
    waiting += [look_up.find(str(number)) for number in range(ENOUGH - 1)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(book.asked) == 1
    book.came.clear()
    waiting.append(look_up.find("one more"))
    await book.came.wait()
    assert [len(asked) for asked in book.asked] == [1, ENOUGH]
    book.open.set()
    assert await asyncio.gather(*waiting) == [None] * (ENOUGH + 1)


async def test_a_fault_reaches_everybody_who_waited_and_nobody_else() -> None:
    book = Book(a=1)
    book.fault = StoreAway("gone")
    look_up = Gathered(book.ask)
    ends = await asyncio.gather(
        look_up.find("a"), look_up.find("a"), look_up.find("b"), return_exceptions=True
    )
    assert [str(end) for end in ends] == ["gone"] * 3
    assert len({id(end) for end in ends}) == 3
    book.fault = None
    assert await look_up.find("a") == 1


async def test_whoever_goes_away_takes_nothing_from_the_others() -> None:
    book = Book(a=1)
    look_up = Gathered(book.ask)
    gone, stays = look_up.find("a"), look_up.find("a")
    gone.cancel()
    assert await stays == 1
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_a_statement_has_a_bounded_number_of_keys_and_all_are_answered() -> None:
    keys = [str(number) for number in range(3 * MOST_AT_ONCE + 1)]
    book = Book(**{key: int(key) for key in keys})
    look_up = Gathered(book.ask)
    assert await asyncio.gather(*map(look_up.find, keys)) == list(range(len(keys)))
    assert [len(asked) for asked in book.asked] == [MOST_AT_ONCE] * 3 + [1]
