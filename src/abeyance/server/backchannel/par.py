"""The pushed authorization request endpoint (RFC 9126; OAUTH-PAR)."""

from abeyance.acts.admit import authenticate
from abeyance.acts.house import ClientRequest, House
from abeyance.acts.push import push
from abeyance.server.http import BackChannel
from abeyance.wire import names
from abeyance.wire.reply import Reply, render_json


def par_endpoint(house: House) -> BackChannel:
    async def answer(request: ClientRequest) -> Reply:
        pushed = await push(house, request, await authenticate(house, request))
        told = {
            names.REQUEST_URI: pushed.reference.reveal(),
            names.EXPIRES_IN: int(pushed.life.total_seconds()),
        }
        return Reply(201, render_json(told))

    return BackChannel(house.endpoints.pushed_authorization, answer)
