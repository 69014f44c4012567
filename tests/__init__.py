"""The tests; `python -m pytest` or `make test`."""
