"""Requests that were recorded once, sent through today's code, and the answers compared.

A file has one exchange a line. No secret rests in it: what an answer brought is named by that
answer (`references`), what a key has signed by its claims, and a password by its name. So a file
can be replayed against any store and any keys: codes, tokens and cookies are those of the replay.

`python -m tests.replay` records the file anew, when a change of wire behaviour is meant.
"""
