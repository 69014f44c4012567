"""A Python callable in the place of the rules, named `module:name` in the configuration.

It takes a `Question` and returns a `Verdict`; it may be `async`. A plain
function runs in a thread, so that one which asks a database does not stop the
server. An object that already is a `Decider` is taken as it is.
"""

import asyncio
import hashlib
import importlib
import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from abeyance.policy.decider import Decider, Defer, Deny, Issue, Question, Verdict

PATIENCE: Final = timedelta(seconds=5)


class NotLoaded(ValueError):
    """The name leads to nothing that can be used; the message says where it broke."""


def load(name: str) -> Any:
    """Import `module:name` (dots in the name are followed). Raises `NotLoaded`."""
    module_name, colon, path = name.partition(":")
    if not colon or not module_name or not path:
        raise NotLoaded("is not of the form module:name")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise NotLoaded(f"needs the module {error.name}, which is not there") from None
    except Exception as error:  # the module is the operator's: whatever it raises is told
        raise NotLoaded(f"raises {type(error).__name__} when it is imported: {error}") from error
    for step in path.split("."):
        if not hasattr(found, step):
            raise NotLoaded(f"has no {step} in {module_name}")
        found = getattr(found, step)
    return found


def load_decider(name: str, *, patience: timedelta = PATIENCE) -> Decider:
    """Load the decider that the configuration names. Raises `NotLoaded`."""
    found = load(name)
    if inspect.iscoroutinefunction(getattr(found, "decide", None)) and hasattr(found, "version"):
        decider: Decider = found
        return decider
    if not callable(found) or inspect.isclass(found):
        raise NotLoaded("is neither a function nor a decider")
    return CallableDecider(found, name, patience=patience)


class CallableDecider:
    """A function as a `Decider`.

    Whatever goes wrong in it is a fault (`server_error`), never a yes: an
    exception, an answer that is not a verdict, or none within `patience`.
    """

    def __init__(
        self, ask: Callable[[Question], Any], name: str, *, patience: timedelta = PATIENCE
    ) -> None:
        self._ask = ask
        self._patience = patience.total_seconds()
        self._version = f"{name}@{_version_of(ask)}"

    @property
    def version(self) -> str:
        """The function's attribute `version`, else the digest of its module's source."""
        return self._version

    async def decide(self, question: Question) -> Verdict:
        async with asyncio.timeout(self._patience):
            if inspect.iscoroutinefunction(self._ask) or inspect.iscoroutinefunction(
                getattr(self._ask, "__call__", None)  # noqa: B004  # an object with async __call__
            ):
                answer = await self._ask(question)
            else:
                answer = await asyncio.to_thread(self._ask, question)
        if not isinstance(answer, Issue | Deny | Defer):
            raise TypeError("the policy callable did not return a verdict")
        return answer


def _version_of(ask: Callable[[Question], Any]) -> str:
    declared = getattr(ask, "version", None)
    if isinstance(declared, str):
        return declared
    module = inspect.getmodule(ask)
    try:
        source = inspect.getsource(module if module is not None else type(ask))
    except (OSError, TypeError):
        return "unknown"
    return hashlib.sha256(source.encode()).hexdigest()[:32]
