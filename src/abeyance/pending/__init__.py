"""The heart: a request that somebody else must decide, its table of states and its changes."""
