"""Signing keys and derived secrets on disk."""
