"""Tests of the room `proofs`."""
