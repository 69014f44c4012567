"""Device authorization: a person answers on one screen what another one asks (RFC 8628)."""
