"""The SQLite store: its suite, its file, its races, kills and power cuts."""
