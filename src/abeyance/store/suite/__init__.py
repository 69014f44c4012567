"""What every store must do: a suite that runs on any of them.

    class TestMyStore(StoreSuite):
        def new_place(self) -> Place:
            name = make_an_empty_database()
            return lambda: my_store_opened_at(name)     # an async context manager

Needs pytest and anyio's plugin; nothing else of the package imports this module.
Instants are arguments everywhere, so nothing here sleeps.
"""

from abeyance.store.suite.derived import DerivedSuite
from abeyance.store.suite.devices import DeviceSuite
from abeyance.store.suite.disposal import DisposalSuite
from abeyance.store.suite.erasure import ErasureSuite
from abeyance.store.suite.grants import GrantSuite
from abeyance.store.suite.ground import Place as Place
from abeyance.store.suite.history import HistorySuite
from abeyance.store.suite.inbox import InboxSuite
from abeyance.store.suite.kept import KeptSuite
from abeyance.store.suite.leases import LeaseSuite
from abeyance.store.suite.life import LifeSuite
from abeyance.store.suite.measuring import MeasuringSuite
from abeyance.store.suite.outbox import OutboxSuite
from abeyance.store.suite.parties import PartySuite
from abeyance.store.suite.profiles import ProfileSuite
from abeyance.store.suite.races import RaceSuite
from abeyance.store.suite.races_grants import GrantRaceSuite
from abeyance.store.suite.registrations import RegistrationSuite
from abeyance.store.suite.requests import RequestSuite
from abeyance.store.suite.reviewing import ReviewingSuite
from abeyance.store.suite.wholes import WholeSuite


class StoreSuite(
    RequestSuite,
    GrantSuite,
    DerivedSuite,
    DeviceSuite,
    RaceSuite,
    GrantRaceSuite,
    InboxSuite,
    HistorySuite,
    PartySuite,
    RegistrationSuite,
    KeptSuite,
    DisposalSuite,
    ErasureSuite,
    ProfileSuite,
    OutboxSuite,
    ReviewingSuite,
    WholeSuite,
    LeaseSuite,
    MeasuringSuite,
    LifeSuite,
):
    """Derive, say where a store can stand, and let pytest collect the derived class."""
