"""Deferred Token Response: the words of the draft (DTR-RESP, DTR-ERR; readings 1 to 6)."""

from typing import Final

from abeyance.faces.face import Face, Words
from abeyance.pending.handles import HandleKind
from abeyance.pending.judging import Why
from abeyance.wire import names

DEFERRAL: Final = Face(
    grant_type=names.GRANT_DEFERRED,
    handle=HandleKind.DEFERRAL_CODE,
    parameter=names.DEFERRAL_CODE,
    # An opaque step: what kind of review it is may itself be sensitive (DTR-ERR-08, -10).
    pending=Words(names.AUTHORIZATION_PENDING, "step=in_review"),
    interaction=Words(names.INTERACTION_REQUIRED, "step=interaction"),
    arrived=Words(names.INTERACTION_PENDING, "step=interaction"),
    refusals={
        Why.UNKNOWN: Words(names.INVALID_GRANT, "The deferral code is not known"),
        Why.KEY: Words(names.INVALID_DPOP_PROOF, "The request must prove the key of the first one"),
        Why.CERTIFICATE: Words(
            names.INVALID_GRANT, "The request must show the certificate of the first one"
        ),
        Why.EARLY: Words(names.SLOW_DOWN, "The client polls faster than the interval allows"),
        Why.STOP: Words(names.INVALID_REQUEST, "The client keeps polling too fast"),
        Why.EXPIRED: Words(names.EXPIRED_TOKEN, "The deferral code has expired"),
        Why.DENIED: Words(names.ACCESS_DENIED, "The request was not granted"),
        Why.REDEEMED: Words(names.INVALID_GRANT, "The deferral code has already been redeemed"),
    },
)
