"""Third-party clients against the server."""
