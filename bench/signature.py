"""What a DPoP poll cannot do without: checking one ES256 signature, and nothing else."""

import time
from statistics import median
from typing import Final

from abeyance.client import generate_key
from abeyance.proofs.jwk import KeySet
from abeyance.proofs.jws import sign_jws, verify_jws

_BATCH: Final = 200


def measure(batches: int) -> float:
    """Microseconds of CPU for one check; the median of so many batches."""
    key = generate_key()
    signed = sign_jws({"a": 1}, key, typ="jwt")
    keys = KeySet((key.public,), ())
    took = []
    for _ in range(batches):
        began = time.process_time()
        for _ in range(_BATCH):
            verify_jws(signed, algorithms=frozenset({"ES256"}), typ=frozenset({"jwt"}), keys=keys)
        took.append((time.process_time() - began) / _BATCH)
    return round(median(took) * 1e6, 1)
