"""Bytes on a socket, against the real protocol."""
