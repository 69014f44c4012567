"""The authorization challenge endpoint, for first-party applications (OAUTH-FIPA)."""

from abeyance.acts.admit import authenticate
from abeyance.acts.challenge import Recognize, challenge, identify
from abeyance.acts.house import ClientRequest, House
from abeyance.server.http import BackChannel
from abeyance.wire import names
from abeyance.wire.reply import Reply, render_json


def challenge_endpoint(house: House, recognize: Recognize) -> BackChannel:
    async def answer(request: ClientRequest) -> Reply:
        await identify(house, request)
        caller = await authenticate(house, request)
        code = await challenge(house, request, caller, recognize)
        return Reply(200, render_json({names.AUTHORIZATION_CODE: code.reveal()}))

    return BackChannel(house.endpoints.authorization_challenge, answer)
