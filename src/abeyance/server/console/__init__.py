"""The reviewer console: where a person sees what waits for them, and decides.

`disclosed` draws the disclosure object and nothing else; `choices` reads a decision
from a form. The acts decide what counts.
"""
