"""The token endpoint: originating grants and polls through one door (RFC 6749 §3.2)."""

from collections.abc import Mapping
from functools import partial
from time import perf_counter
from types import MappingProxyType
from typing import Final

from abeyance.acts.admit import authenticate
from abeyance.acts.ask import ask
from abeyance.acts.collect import collect
from abeyance.acts.house import ClientRequest, House
from abeyance.acts.interact import invite
from abeyance.acts.poll_device import poll_device
from abeyance.faces import (
    DEFERRAL,
    DEVICE,
    Face,
    note_wait,
    render_answer,
    render_deferred,
    render_interaction,
    render_success,
)
from abeyance.grants import GRANTS
from abeyance.pending.interaction import Invitation
from abeyance.pending.judging import InteractionRequired, Refused, StillPending, answer_to
from abeyance.pending.opening import Deferred
from abeyance.server.http import BackChannel
from abeyance.wire import names
from abeyance.wire.errors import InvalidRequest, UnsupportedGrantType
from abeyance.wire.reply import Reply

FACES: Final[Mapping[str, Face]] = MappingProxyType({DEFERRAL.grant_type: DEFERRAL})
# Of grants that are polled before there is a request.
OWN_FACES: Final[Mapping[str, Face]] = MappingProxyType({DEVICE.grant_type: DEVICE})


def token_endpoint(house: House) -> BackChannel:
    async def answer(request: ClientRequest) -> Reply:
        began = perf_counter()
        # Authentication comes before the grant type, so that strangers learn
        # nothing of what is offered (OAUTH-TOK-01).
        caller = await authenticate(house, request)
        grant_type = request.form.get(names.GRANT_TYPE)
        if grant_type is None:
            raise InvalidRequest("The request lacks the grant_type")
        face = FACES.get(grant_type)
        if face is not None:
            collected = await collect(house, request, caller, face)
            if isinstance(collected, StillPending | Refused):
                reply = render_answer(face, collected)
            elif isinstance(collected, InteractionRequired):
                reply = render_interaction(face, collected.bound, invite(house, collected))
            else:
                reply = render_success(collected)
                if request.wait is None:  # else most of it was waiting for people
                    house.counters.token_seconds.observe(perf_counter() - began)
            return reply if request.wait is None else note_wait(reply, request.wait.applied)
        grant = GRANTS.get(grant_type)
        if grant is None:
            raise UnsupportedGrantType("The grant type is not supported")
        own = OWN_FACES.get(grant_type)
        if own is None:
            asked = await ask(house, request, caller, grant)
        else:
            polled = await poll_device(house, request, caller, own, grant)
            if isinstance(polled, StillPending | Refused):
                return render_answer(own, polled)
            asked = polled
        house.counters.token_seconds.observe(perf_counter() - began)
        if isinstance(asked, Deferred):
            request.sent = partial(house.answering.end, asked.held.key)
            return render_deferred(DEFERRAL, asked, house.clock.now(), _invitation(house, asked))
        return render_success(asked)

    return BackChannel(house.endpoints.token, answer)


def _invitation(house: House, deferred: Deferred) -> Invitation | None:
    answer = answer_to(deferred.held, house.clock.now())
    return invite(house, answer) if isinstance(answer, InteractionRequired) else None
