"""What every store must do: a suite that runs on any of them.

    class TestMyStore(StoreSuite):
        def new_place(self) -> Place:
            name = make_an_empty_database()
            return lambda: my_store_opened_at(name)     # an async context manager

Needs pytest and anyio's plugin; nothing else of the package imports this module.
Instants are arguments everywhere, so nothing here sleeps.
"""

from abeyance.store.suite.ground import Place as Place
from abeyance.store.suite.inbox import InboxSuite
from abeyance.store.suite.life import LifeSuite
from abeyance.store.suite.parties import PartySuite
from abeyance.store.suite.races import RaceSuite
from abeyance.store.suite.requests import RequestSuite


class StoreSuite(RequestSuite, RaceSuite, InboxSuite, PartySuite, LifeSuite):
    """Derive, say where a store can stand, and let pytest collect the derived class."""
