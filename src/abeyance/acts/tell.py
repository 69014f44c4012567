"""How a request ended, told to clients that registered the profile, and to nobody else.

Everybody else sees the draft's error and nothing besides (EXT-OUTCOME, EXT-META-05).
"""

from dataclasses import replace

from abeyance.acts.house import House
from abeyance.faces.render import ending_members
from abeyance.parties.client import Client
from abeyance.pending.ending import Ending, ending_of
from abeyance.pending.judging import Refused
from abeyance.pending.request import Key, Loaded
from abeyance.pending.states import Cancelled, Denied
from abeyance.wire import names
from abeyance.wire.errors import OAuthError


async def tell(house: House, client: Client, key: Key, refused: Refused) -> Refused:
    """The refusal of a poll, with what this client may know of the end."""
    if not client.speaks(names.PROFILE_OUTCOME):
        return refused if refused.remark is None else replace(refused, remark=None)
    loaded = await house.store.find_loaded(key)
    if loaded is None:
        return refused
    remark = None if loaded.snapshot.collapse_outcome else refused.remark
    return replace(refused, remark=remark, ending=await _ending(house, loaded))


async def ended(house: House, client: Client, loaded: Loaded, error: OAuthError) -> OAuthError:
    """The same, for a first request that is sent again."""
    if not client.speaks(names.PROFILE_OUTCOME):
        return error
    state, remark = loaded.held.state, None
    if isinstance(state, Denied) and not loaded.snapshot.collapse_outcome:
        remark = state.remark
    error.members = ending_members(await _ending(house, loaded), remark)
    return error


def with_ending(error: OAuthError, client: Client, ending: Ending) -> OAuthError:
    """A request that ends before it began."""
    if client.speaks(names.PROFILE_OUTCOME):
        error.members = ending_members(ending)
    return error


async def _ending(house: House, loaded: Loaded) -> Ending | None:
    state, by_client = loaded.held.state_at(house.clock.now()), True
    if isinstance(state, Cancelled):
        events = await house.store.find_events(loaded.held.key)
        cancelled = [event.actor for event in events if event.event == "cancelled"]
        by_client = cancelled == [f"client:{loaded.held.client}"]
    return ending_of(state, collapse=loaded.snapshot.collapse_outcome, by_client=by_client)
