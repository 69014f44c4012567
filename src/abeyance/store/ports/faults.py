"""What a store raises: faults, never races."""


class StoreAway(Exception):
    """The store cannot be reached or cannot write; answered 503 (OAUTH-REVO-06)."""


class StoreInUse(Exception):
    """Another process owns this store; the message says which file and what to do."""


class StoreElsewhere(StoreInUse):
    """What is here is a copy, or has moved away; the message says what to do."""


class StoreTooNew(Exception):
    """A newer program has written this store; the message says what to do."""
