"""What every grant shares: who calls, what is asked, minting, metadata."""
