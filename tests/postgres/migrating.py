"""A process that migrates: `python -m tests.postgres.migrating URL`."""

import asyncio
import sys

from abeyance.store.postgres.address import Bounds, connect, parse_address
from abeyance.store.postgres.schema import migrate


async def main(url: str) -> None:
    db = await connect(parse_address(url), Bounds())
    await migrate(db)
    await db.close()


asyncio.run(main(sys.argv[1]))
