"""`abeyance config check`."""

from collections.abc import Iterable
from pathlib import Path

from abeyance.cli import common
from abeyance.cli.app import OK
from abeyance.policy.rules import Rules
from abeyance.server.settings import Settings
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


def describe(settings: Settings) -> list[tuple[str, str]]:
    """What would be served, line by line; nothing confidential."""
    lifetimes = settings.lifetimes
    decider = settings.decider
    policy = f"{len(decider.rules)} rules" if isinstance(decider, Rules) else "a callable"
    return [
        ("issuer", settings.issuer),
        ("listen", str(settings.listen)),
        ("data", str(settings.data)),
        ("store", str(settings.store.path)),
        ("policy", f"{policy}, version {decider.version}"),
        ("access token", render_duration(lifetimes.access_token)),
        ("waiting", f"{render_duration(lifetimes.waiting)}, polls each {_interval(settings)}"),
        ("approval", render_duration(lifetimes.approval)),
        ("scopes", _names(settings.scopes)),
        ("resources", _names(settings.resources)),
        ("details types", _names(settings.types.names())),
        *(
            (f"client {client.id}", f"{client.auth_method}, owner {client.owner or 'nobody'}")
            for client in settings.clients
        ),
        *(
            (
                f"reviewer {person.id}",
                f"{', '.join(sorted(person.roles))}; "
                + ("with a password" if person.password_hash else "cannot sign in"),
            )
            for person in settings.people
        ),
    ]


def _interval(settings: Settings) -> str:
    return render_duration(settings.lifetimes.interval)


def _names(values: Iterable[str]) -> str:
    return ", ".join(values) or "none"
