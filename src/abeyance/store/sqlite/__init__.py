"""A store in one SQLite file: the embedded default. One process owns the file."""

from abeyance.store.sqlite.store import SqliteStore as SqliteStore
