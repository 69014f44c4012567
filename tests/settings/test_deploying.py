"""The unit file and the container recipe: what they promise, and that their settings are ours."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from abeyance.cli.app import make_app
from abeyance.server.settings import Listen, load_settings
from abeyance.server.settings_sources import CONFIG
from tests.covers import covers

_DEPLOY: Final = Path(__file__).parents[2] / "deploy"
_LEAST: Final = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "MemoryDenyWriteExecute": "yes",
    "RestrictSUIDSGID": "yes",
    "UMask": "0077",
    "StateDirectoryMode": "0700",
    "RestartPreventExitStatus": "2",
}


def _unit() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (_DEPLOY / "abeyance.service").read_text().splitlines():
        if line and not line.startswith(("#", "[")):
            key, equals, value = line.partition("=")
            assert equals, line
            found.setdefault(key, []).append(value)
    return found


def _recipe() -> list[tuple[str, str]]:
    """Instructions with their arguments, lines that go on joined."""
    text = re.sub(r"^#.*\n", "", (_DEPLOY / "Containerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line)]


def _check_settings(environ: dict[str, str], listen: Listen) -> None:
    """They are settings that there are; an unknown one would be refused."""
    assert environ.pop(CONFIG) == "/etc/abeyance/abeyance.toml"
    told = load_settings(environ=environ, flags={"issuer": "https://as.example.com"})
    assert told.data == Path("/var/lib/abeyance")
    assert told.listen == listen
    assert told.management.listen is not None
    assert told.management.listen.is_loopback()


@covers("SEC-OPS-16")
def test_the_unit_runs_as_nobody_in_particular_and_may_write_one_folder() -> None:
    unit = _unit()
    assert {key: unit[key][0] for key in _LEAST} == _LEAST
    assert unit["User"] == ["abeyance"]
    assert unit["StateDirectory"] == ["abeyance"]
    assert "ReadWritePaths" not in unit
    environ = dict(each.split("=", 1) for each in unit["Environment"])
    _check_settings(environ, Listen("127.0.0.1", 8400))
    [start] = unit["ExecStart"]
    program, command = start.split()
    assert (Path(program).name, command) == ("abeyance", "serve")
    # More than the server takes by itself, or it would be killed while it answers.
    assert unit["TimeoutStopSec"] == ["45s"]


@covers("SEC-OPS-16")
def test_systemd_understands_the_unit() -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not here")
    unit = _DEPLOY / "abeyance.service"
    told = subprocess.run(
        [analyze, "verify", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    ours = [line for line in told.stderr.splitlines() if line.startswith(f"{unit}:")]
    assert ours == [], "directives that it does not know, or cannot read"


@covers("SEC-OPS-16")
def test_the_image_has_no_root_one_volume_and_a_health_check() -> None:
    recipe = _recipe()
    last = recipe[max(place for place, (word, _) in enumerate(recipe) if word == "FROM") :]
    said = dict(last)
    assert int(said["USER"]) > 999
    assert said["VOLUME"] == "/var/lib/abeyance"
    assert said["STOPSIGNAL"] == "SIGTERM"
    assert [word for word, _ in last].index("USER") > max(
        place for place, (word, _) in enumerate(last) if word in ("RUN", "COPY")
    )
    pairs = [rest.split("=", 1) for word, rest in last if word == "ENV"]
    environ = {name: value for name, value in pairs if name.startswith("ABEYANCE_")}
    _check_settings(environ, Listen("0.0.0.0", 8400))
    assert json.loads(said["ENTRYPOINT"]) == ["abeyance"]
    health = json.loads(said["HEALTHCHECK"].partition(" CMD ")[2])
    known = set(make_app())
    for [command] in (json.loads(said["CMD"]), health[1:]):
        assert command in known
    installs = [rest for word, rest in recipe if word == "RUN" and "pip install" in rest]
    assert all("--require-hashes" in each or "--no-index" in each for each in installs)
    assert not any(word == "ADD" for word, _ in recipe)
    for word, rest in recipe:
        if word == "COPY" and "--from" not in rest:
            assert rest.split()[0] in ("requirements/server.txt", "dist/abeyance-*.whl")
