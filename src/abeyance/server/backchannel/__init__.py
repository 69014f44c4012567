"""What clients call: token, revocation, and the documents that they read first."""
