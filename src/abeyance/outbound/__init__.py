"""The guarded way out: requests that this server sends to addresses that others chose."""
