"""The device authorization endpoint (RFC 8628 §3.1, §3.2; DEV-REQ, DEV-RESP)."""

from abeyance.acts.admit import authenticate
from abeyance.acts.begin_device import begin_device
from abeyance.acts.house import ClientRequest, House
from abeyance.pending.device import INTERVAL
from abeyance.pending.pacing import whole_seconds
from abeyance.pending.user_code import show_user_code
from abeyance.server.http import BackChannel
from abeyance.wire import names
from abeyance.wire.reply import Reply, render_json


def device_endpoint(house: House) -> BackChannel:
    async def answer(request: ClientRequest) -> Reply:
        begun = await begin_device(house, request, await authenticate(house, request))
        code, page = show_user_code(begun.user_code.reveal()), house.endpoints.verification
        told = {
            names.DEVICE_CODE: begun.device_code.reveal(),
            names.USER_CODE: code,
            names.VERIFICATION_URI: page,
            names.VERIFICATION_URI_COMPLETE: f"{page}?{names.USER_CODE}={code}",
            names.EXPIRES_IN: whole_seconds(begun.device.expires_at - begun.device.opened_at),
            names.INTERVAL: whole_seconds(INTERVAL),
        }
        return Reply(200, render_json(told))

    return BackChannel(house.endpoints.device_authorization, answer)
