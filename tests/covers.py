"""`@covers("DTR-POLL-03")`: names the requirements that a test shows to hold."""

import pytest

from tools import trace


def covers(*ids: str) -> pytest.MarkDecorator:
    """Mark a test (or a module, as `pytestmark`) with requirement IDs; each must be catalogued.

    Give literal strings: `tools/trace.py` reads them from the source without running it.
    """
    if unknown := [id_ for id_ in ids if id_ not in trace.known_ids()]:
        raise ValueError(f"no catalogue in docs/requirements has {', '.join(unknown)}")
    return pytest.mark.covers(*ids)
