"""Where a browser comes from a client: authorization, consent, interaction."""
