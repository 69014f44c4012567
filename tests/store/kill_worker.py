"""A process that works on a store until it is killed, and says what was acknowledged.

    python -m tests.store.kill_worker FILE

One line of JSON for each acknowledgement, after the store has given it.
"""

import asyncio
import json
import sys
from pathlib import Path

from abeyance.pending.change import Applied, TokenRecord
from abeyance.pending.request import Held
from abeyance.pending.states import Event, stage_of
from abeyance.store.ports import OfClient, Store
from abeyance.store.sqlite import SqliteStore
from abeyance.store.suite.ground import (
    NOW,
    SHOP,
    a_request,
    a_token,
    advance,
    an_event,
    change,
)

AT_ONCE = 4


async def main(path: Path) -> None:
    store = await SqliteStore.open(path)
    # What an earlier process left approved is redeemed again, as its client would.
    for home in await store.find_open_homes(OfClient(SHOP), now=NOW, limit=10_000):
        page = await store.find_loaded(a_request(home=home).held.key)
        assert page is not None
        await redeem(store, page.held)
    await asyncio.gather(*(work(store) for _ in range(AT_ONCE)))


async def work(store: Store) -> None:
    number = 0
    while True:
        number += 1
        request = a_request(at_most=100_000)
        key = request.held.key
        held = request.held
        for step in (request, advance(Event.DENY if number % 5 == 0 else Event.APPROVE)):
            answer = await store.apply(change(key, step, rows=(an_event("moved"),)))
            assert isinstance(answer, Applied)
            assert answer.current is not None
            held = answer.current
            say(held)
        if number % 3:
            await redeem(store, held)


async def redeem(store: Store, held: Held) -> None:
    """Three times at once, as a client that retries."""
    await asyncio.gather(*(redeem_once(store, held, a_token(held.key.home)) for _ in range(3)))


async def redeem_once(store: Store, held: Held, token: TokenRecord) -> None:
    step = advance(Event.REDEEM, at=NOW)
    match await store.apply(change(held.key, step, rows=(token, an_event("redeemed")))):
        case Applied(current=Held() as redeemed):
            say(redeemed, token)


def say(held: Held, token: TokenRecord | None = None) -> None:
    line = {
        "home": held.key.home.hex(),
        "digest": held.handle.digest.hex(),
        "version": held.version,
        "stage": stage_of(held.state),
        "jti": token.jti.hex() if token else None,
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
