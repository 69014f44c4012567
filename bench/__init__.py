"""The benchmark: what a poll, a first request and a whole cycle cost, each beside a bare server.

`python -m bench` measures and writes `bench/results.json`; `docs/benchmark.md` says how.
"""
