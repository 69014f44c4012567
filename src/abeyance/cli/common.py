"""What several commands share: where the configuration is, and errors of the call."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from abeyance.server import settings_sources
from abeyance.server.settings import Settings, load_settings
from abeyance.server.settings_sources import CONFIG, Sources


def load(config: Path | None, flags: Mapping[str, str | None] | None = None) -> Settings:
    """Load the settings of `--config`, else of ABEYANCE_CONFIG, else those of a fresh server.

    What is allowed but worth a word is told on standard error.
    """
    settings = load_settings(_file(config), flags=flags)
    for caution in settings.warnings:
        print(f"abeyance: warning: {caution}", file=sys.stderr)
    return settings


def gather(config: Path | None, flags: Mapping[str, str | None]) -> Sources:
    """The same sources, before anything is made of them."""
    return settings_sources.gather(_file(config), os.environ, flags)


def _file(config: Path | None) -> Path | None:
    named = os.environ.get(CONFIG)
    return config or (Path(named) if named else None)
