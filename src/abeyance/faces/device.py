"""The device grant: the words of RFC 8628 §3.5 (DEV-POLL-02, -03)."""

from typing import Final

from abeyance.faces.face import Face, Words
from abeyance.pending.handles import HandleKind
from abeyance.pending.judging import Why
from abeyance.wire import names

_PENDING: Final = Words(names.AUTHORIZATION_PENDING, "The user has not finished yet")

DEVICE: Final = Face(
    grant_type=names.GRANT_DEVICE_CODE,
    handle=HandleKind.DEVICE_CODE,
    parameter=names.DEVICE_CODE,
    pending=_PENDING,
    interaction=_PENDING,
    refusals={
        Why.UNKNOWN: Words(names.INVALID_GRANT, "The device code is not known"),
        Why.KEY: Words(names.INVALID_DPOP_PROOF, "The request must prove the key of the first one"),
        Why.CERTIFICATE: Words(
            names.INVALID_GRANT, "The request must show the certificate of the first one"
        ),
        Why.EARLY: Words(names.SLOW_DOWN, "The client polls faster than the interval allows"),
        Why.STOP: Words(names.INVALID_REQUEST, "The client keeps polling too fast"),
        Why.EXPIRED: Words(names.EXPIRED_TOKEN, "The device code has expired"),
        Why.DENIED: Words(names.ACCESS_DENIED, "The request was not granted"),
        Why.REDEEMED: Words(names.INVALID_GRANT, "The device code has been used already"),
    },
)
