"""What the house asks of a store. Small reads, one write: `apply`.

A store raises for faults, never for races: whoever loses is answered
`Superseded`. Every read sees the latest commit. `StoreAway` means that nothing
can be said at present; the outcome of a change that it interrupts is unknown to
the caller, and the stored row is the truth.

A subject has a file; `Store` is all of them. Whoever asks a store imports from here.

The behaviour that these signatures promise is a suite that runs on any store:
`abeyance.store.suite`.
"""

from abeyance.store.ports.authorizations import Authorizations as Authorizations
from abeyance.store.ports.authorizations import TooManyAuthorizations as TooManyAuthorizations
from abeyance.store.ports.ending import Disposals as Disposals
from abeyance.store.ports.ending import Disposed as Disposed
from abeyance.store.ports.ending import Ground as Ground
from abeyance.store.ports.ending import OfClient as OfClient
from abeyance.store.ports.ending import OfConsent as OfConsent
from abeyance.store.ports.ending import OfPerson as OfPerson
from abeyance.store.ports.ending import OfSession as OfSession
from abeyance.store.ports.ending import Retention as Retention
from abeyance.store.ports.ending import Sweeps as Sweeps
from abeyance.store.ports.faults import StoreAway as StoreAway
from abeyance.store.ports.faults import StoreElsewhere as StoreElsewhere
from abeyance.store.ports.faults import StoreInUse as StoreInUse
from abeyance.store.ports.faults import StoreTooNew as StoreTooNew
from abeyance.store.ports.lists import AsAsker as AsAsker
from abeyance.store.ports.lists import AsReviewer as AsReviewer
from abeyance.store.ports.lists import Ended as Ended
from abeyance.store.ports.lists import History as History
from abeyance.store.ports.lists import Inbox as Inbox
from abeyance.store.ports.lists import OfAll as OfAll
from abeyance.store.ports.lists import Page as Page
from abeyance.store.ports.lists import Wanted as Wanted
from abeyance.store.ports.lists import Whose as Whose
from abeyance.store.ports.once import Calls as Calls
from abeyance.store.ports.once import Remembered as Remembered
from abeyance.store.ports.once import Reservations as Reservations
from abeyance.store.ports.outbox import Outbox as Outbox
from abeyance.store.ports.parties import Parties as Parties
from abeyance.store.ports.parties import Registered as Registered
from abeyance.store.ports.parties import Registrations as Registrations
from abeyance.store.ports.parties import SecurityEvent as SecurityEvent
from abeyance.store.ports.requests import Requests as Requests
from abeyance.store.ports.reviewing import Reviewing as Reviewing
from abeyance.store.ports.store import Store as Store
from abeyance.store.ports.whole import Leases as Leases
from abeyance.store.ports.whole import Mark as Mark
from abeyance.store.ports.whole import Measured as Measured
from abeyance.store.ports.whole import Measuring as Measuring
from abeyance.store.ports.whole import Sealed as Sealed
from abeyance.store.ports.whole import Sealing as Sealing
from abeyance.store.ports.whole import Wholes as Wholes
from abeyance.store.ports.whole import Work as Work
