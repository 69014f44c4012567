"""What may be lost: replay memory, poll clocks, limits, waiters, counters.

Losing one costs a retry or a looser bound, never truth; the docs state each
bound. Everything here is bounded in memory.
"""
