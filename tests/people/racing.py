"""Open the window of a race on purpose: one request is held back until another has its way."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from abeyance.pending.change import Change
from tests.served import Served

Act = Callable[[], Awaitable[Any]]


async def overtake(
    served: Served,
    monkeypatch: pytest.MonkeyPatch,
    kind: type,
    *,
    slow: Act,
    fast: Act,
) -> tuple[Any, Any]:
    """Run `slow` up to its change that has a step of this kind, then all of `fast`, then the
    rest of `slow`.
    """
    reached, go = asyncio.Event(), asyncio.Event()
    apply, held_back = served.house.store.apply, False

    async def held(change: Change) -> Any:
        nonlocal held_back
        if not held_back and any(isinstance(step, kind) for step in change.steps):
            held_back = True
            reached.set()
            await go.wait()
        return await apply(change)

    with monkeypatch.context() as patch:
        patch.setattr(served.house.store, "apply", held)
        late = asyncio.ensure_future(slow())
        await reached.wait()
        first = await fast()
        go.set()
        return await late, first
