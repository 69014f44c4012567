"""What every grant and face shares: who calls, what may be asked, minting, metadata."""
