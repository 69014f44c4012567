"""The introspection endpoint (RFC 7662; OAUTH-INTRO)."""

from abeyance.acts.admit import authenticate
from abeyance.acts.house import ClientRequest, House
from abeyance.acts.introspect import introspect
from abeyance.server.http import BackChannel
from abeyance.wire.reply import Reply, render_json


def introspection_endpoint(house: House) -> BackChannel:
    async def answer(request: ClientRequest) -> Reply:
        caller = await authenticate(house, request)
        return Reply(200, render_json(await introspect(house, request, caller)))

    return BackChannel(house.endpoints.introspection, answer)
