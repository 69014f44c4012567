"""`abeyance config check`, `show` and `schema`."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cyclopts import Parameter

from abeyance.cli import common
from abeyance.cli.app import OK
from abeyance.policy.rules import Rules
from abeyance.server.settings import Settings
from abeyance.server.settings_file import File
from abeyance.server.settings_shown import list_settings
from abeyance.server.settings_values import render_duration


def check(*, config: Path | None = None) -> int:
    """Load and cross-check everything, and say what would be served.

    Nothing is written and no address is opened. No secret is shown.

    Parameters
    ----------
    config
        The configuration file (TOML); else the one that ABEYANCE_CONFIG names.
    """
    settings = common.load(config)
    width = max(len(name) for name, _ in describe(settings))
    for name, value in describe(settings):
        print(f"{name:<{width}}  {value}")
    return OK


def show(
    *,
    config: Path | None = None,
    data: str | None = None,
    listen: str | None = None,
    origin: Annotated[bool, Parameter(negative=())] = False,
    output: Annotated[Literal["text", "json"], Parameter(name=["--output", "-o"])] = "text",
) -> int:
    """Say each setting as `abeyance serve` would gather it, called with the same flags.

    What the settings mean is not judged (`check` does), so that one that is refused
    can be found. Secrets, their digests and keys are shown as "set".

    Parameters
    ----------
    config
        The configuration file (TOML); else the one that ABEYANCE_CONFIG names.
    data
        The folder for keys and database, instead of the configured one.
    listen
        host:port, instead of the configured one.
    origin
        Say where each comes from: default, the file, a variable or a flag.
    output
        text or json.
    """
    shown = list_settings(common.gather(config, {"data": data, "server.listen": listen}))
    if output == "json":
        whole = [{"key": each.key, "value": each.value} for each in shown]
        if origin:
            whole = [{**each, "origin": of.origin} for each, of in zip(whole, shown, strict=True)]
        print(json.dumps(whole, indent=2))
        return OK
    key_width = max(len(each.key) for each in shown)
    width = max(len(each.origin) for each in shown) if origin else 0
    for each in shown:
        middle = f"{each.origin:<{width}}  " if origin else ""
        print(f"{each.key:<{key_width}}  {middle}{each.render()}")
    return OK


def schema() -> int:
    """Print a JSON Schema of the configuration file, for editors that complete and check it."""
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Abeyance",
        **msgspec.json.schema(File),
    }
    print(json.dumps(whole, indent=2))
    return OK


def describe(settings: Settings) -> list[tuple[str, str]]:
    """What would be served, line by line; nothing confidential."""
    lifetimes = settings.lifetimes
    decider = settings.decider
    policy = f"{len(decider.rules)} rules" if isinstance(decider, Rules) else "a callable"
    return [
        ("issuer", settings.issuer),
        ("listen", str(settings.listen)),
        ("probes", str(settings.management.listen or "off")),
        ("data", str(settings.data)),
        ("store", str(settings.store.path) if settings.store.url is None else "PostgreSQL"),
        ("policy", f"{policy}, version {decider.version}"),
        ("access token", render_duration(lifetimes.access_token)),
        ("waiting", f"{render_duration(lifetimes.waiting)}, polls each {_interval(settings)}"),
        ("approval", render_duration(lifetimes.approval)),
        ("scopes", _names(settings.scopes)),
        ("resources", _names(settings.resources)),
        ("details types", _names(settings.types.names())),
        *(
            (
                f"client {client.id}",
                (
                    f"{client.auth_method}, {', '.join(sorted(client.grant_types))}; "
                    f"owner {client.owner or 'nobody'}"
                ),
            )
            for client in settings.clients
        ),
        *(
            (
                f"person {person.id}",
                f"{', '.join(sorted(person.roles)) or 'user'}; "
                + ("with a password" if person.password_hash else "cannot sign in"),
            )
            for person in settings.people
        ),
    ]


def _interval(settings: Settings) -> str:
    return render_duration(settings.lifetimes.interval)


def _names(values: Iterable[str]) -> str:
    return ", ".join(values) or "none"
