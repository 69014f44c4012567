"""Who is involved, as plain records: clients, people, their sessions and consents."""

from abeyance.parties.client import Client as Client
from abeyance.parties.client import ClientId as ClientId
from abeyance.parties.consent import Consent as Consent
from abeyance.parties.consent import ConsentId as ConsentId
from abeyance.parties.person import ConsoleSession as ConsoleSession
from abeyance.parties.person import Invitation as Invitation
from abeyance.parties.person import Person as Person
from abeyance.parties.person import PersonId as PersonId
from abeyance.parties.person import Role as Role
