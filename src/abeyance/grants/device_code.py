"""`device_code`: the first request of a device whose person has agreed (RFC 8628 §3.4).

Who polls, with which key and how fast was judged before (`acts/poll_device.py`). The code is
spent by the answer, be it a token or a deferral (EXT-GRANT-07, DEV-DTR-05).
"""

from typing import Final

from abeyance.grants.grant import Behind, Claimed, Grant, Presented
from abeyance.pending.change import SpendDevice
from abeyance.pending.device import DEFERRAL, DeviceStage, FoundDevice
from abeyance.pending.handles import HandleKind
from abeyance.pending.request import Success
from abeyance.wire import names
from abeyance.wire.errors import AccessDenied, InvalidGrant


def _claim(shown: Presented) -> Claimed:
    found = shown.found
    if (
        not isinstance(found, FoundDevice)
        or found.device.client != shown.client.id
        or not found.device.binding.continues(shown.key)
        or found.device.stage is not DeviceStage.AGREED
        or found.grant is None
    ):
        raise InvalidGrant("The device code is not valid for this request")
    spend = SpendDevice(shown.now)
    may_refresh = names.GRANT_REFRESH_TOKEN in shown.client.grant_types
    return Claimed(
        subject=found.grant.person,
        behind=Behind.of(found.grant),
        home=found.device.home,
        n=DEFERRAL,
        spends=(spend,),
        holds=(spend,),
        ceiling=found.device.asked,
        hinted=found.device.hinted,
        success=Success.NEW_FAMILY if may_refresh else Success.ACCESS_TOKEN,
        retold=True,
        identity=found.device.identity,
    )


DEVICE_CODE: Final = Grant(
    name=names.GRANT_DEVICE_CODE,
    claim=_claim,
    handle=HandleKind.DEVICE_CODE,
    parameter=names.DEVICE_CODE,
    refuses=AccessDenied,
    waits=True,
)
