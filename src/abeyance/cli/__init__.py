"""The command line: `abeyance serve`, `policy test`, `token`, `demo` and small helpers."""
