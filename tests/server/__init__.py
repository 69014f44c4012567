"""The whole server, spoken to as clients and reviewers do."""
