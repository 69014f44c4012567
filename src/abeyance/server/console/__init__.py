"""The reviewer console: where a person sees what waits for them, and decides.

`app` routes and answers every fault with a page; `sessions` and `guard` say who is
there and whether the request is theirs; `disclosed` draws the disclosure object and
nothing else; `choices` reads a decision from a form. The acts decide what counts.
"""

from abeyance.server.console.app import console_app

__all__ = ["console_app"]
