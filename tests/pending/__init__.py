"""The pending request: its table, its answers, its votes, its changes."""
