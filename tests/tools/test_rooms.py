"""The import contract of `.importlinter`, shown on small houses."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools import trace

RULES = trace.ROOT / ".importlinter"
LINT = Path(sys.executable).with_name("lint-imports")


def lint(house: Path, modules: dict[str, str]) -> tuple[int, str]:
    """Build `abeyance` from module sources below `house` and judge it by our own rules."""
    (house / ".importlinter").write_text(RULES.read_text())
    for module, source in {"__init__": "", **modules}.items():
        path = house / "abeyance" / f"{module}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        for folder in path.relative_to(house).parents[:-1]:
            (house / folder / "__init__.py").touch()
    # The contract's own module lies in the repository.
    environment = {"PYTHONPATH": f"{house}:{trace.ROOT}", "COLUMNS": "200"}
    done = subprocess.run(
        [LINT, "--no-cache"],
        cwd=house,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_arrows_of_the_table_are_kept(tmp_path: Path) -> None:
    house = {
        "wire/names": "import re",
        "access/scope": "from abeyance.wire import names",
        "store/ports": "from abeyance.access import scope",
        "store/sqlite/adapter": "import time\nfrom abeyance.store import ports",
        "acts/ask": "import asyncio\nfrom abeyance.store import ports",
        "server/wiring": "from abeyance.store.sqlite import adapter",
        "server/app": "from abeyance.server import wiring",
        "__main__": "from abeyance.cli import main",
        "cli/main": "import abeyance",
    }
    status, output = lint(tmp_path, house)
    assert status == 0, output


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("wire/names", "from abeyance.access import scope", "wire may import wire"),
        ("pending/heart", "import asyncio", "never in pending"),
        ("grants/code", "import secrets", "never in grants"),
        ("acts/ask", "from abeyance.store.sqlite import adapter", "acts may import"),
        ("server/app", "from abeyance.store.sqlite import adapter", "server may import"),
        ("client/api", "from abeyance.pending import heart", "client may import"),
        ("client/api", "import starlette", "never in client"),
        ("helpers/text", "import re", "lies in no room"),
        ("__init__", "from abeyance.client import api", "abeyance may import no room"),
    ],
)
def test_other_arrows_are_refused(tmp_path: Path, module: str, source: str, complaint: str) -> None:
    rooms = ("access/scope", "pending/heart", "client/api", "store/sqlite/adapter")
    status, output = lint(tmp_path, {**dict.fromkeys(rooms, ""), module: source})
    assert status == 1
    assert complaint in output
