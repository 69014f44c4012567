"""The revocation endpoint (RFC 7009; DTR-CANC, OAUTH-REVO)."""

from abeyance.acts.admit import authenticate
from abeyance.acts.cancel import revoke
from abeyance.acts.house import ClientRequest, House
from abeyance.server.http import BackChannel
from abeyance.wire.reply import Reply


def revocation_endpoint(house: House) -> BackChannel:
    async def answer(request: ClientRequest) -> Reply:
        await revoke(house, request, await authenticate(house, request))
        return Reply(200, b"{}")

    return BackChannel(house.endpoints.revocation, answer)
