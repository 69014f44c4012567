"""The token endpoint: originating grants and polls through one door (RFC 6749 §3.2)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from abeyance.acts.admit import authenticate
from abeyance.acts.ask import ask
from abeyance.acts.collect import collect
from abeyance.acts.house import ClientRequest, House
from abeyance.faces import DEFERRAL, Face, render_answer, render_opened, render_success
from abeyance.grants import GRANTS
from abeyance.pending.judging import Refused, StillPending
from abeyance.pending.opening import Opened
from abeyance.server.http import BackChannel
from abeyance.wire import names
from abeyance.wire.errors import InvalidRequest, UnsupportedGrantType
from abeyance.wire.reply import Reply

FACES: Final[Mapping[str, Face]] = MappingProxyType({DEFERRAL.grant_type: DEFERRAL})


def token_endpoint(house: House) -> BackChannel:
    async def answer(request: ClientRequest) -> Reply:
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
                return render_answer(face, collected)
            return render_success(collected)
        grant = GRANTS.get(grant_type)
        if grant is None:
            raise UnsupportedGrantType("The grant type is not supported")
        asked = await ask(house, request, caller, grant)
        if isinstance(asked, Opened):
            return render_opened(DEFERRAL, asked, house.clock.now())
        return render_success(asked)

    return BackChannel(house.endpoints.token, answer)
