"""Who is involved, as plain records: clients, people and their console sessions."""

from abeyance.parties.client import Client as Client
from abeyance.parties.client import ClientId as ClientId
from abeyance.parties.person import ConsoleSession as ConsoleSession
from abeyance.parties.person import Invitation as Invitation
from abeyance.parties.person import Person as Person
from abeyance.parties.person import PersonId as PersonId
from abeyance.parties.person import Role as Role
