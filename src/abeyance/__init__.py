"""Abeyance: the authorization server that can answer "not yet".

The rooms of the package, from the inside out: `access`, `wire`, `proofs`,
`parties`, `pending`, `oauth`, `grants`, `faces` are pure (no IO, no clock, no
randomness); `policy`, `keys`, `store`, `volatile`, `acts`, `server`, `client`
and `cli` have effects. Imports point one way; `docs/architecture.md` draws it.
"""

__version__ = "0.1.0"
