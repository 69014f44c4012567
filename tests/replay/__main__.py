"""Record anew: `python -m tests.replay`. What differs from before shows in the file's diff."""

import asyncio
import tempfile
from pathlib import Path

from tests.replay.exchanges import write_exchanges
from tests.replay.recording import everything, recording
from tests.replay.replaying import RECORDED


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with recording(Path(folder)) as served:
            await everything(served)
            write_exchanges(RECORDED, served.exchanges)


if __name__ == "__main__":
    asyncio.run(main())
