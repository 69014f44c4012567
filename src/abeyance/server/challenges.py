"""How an API of ours asks for another token (RFC 6750 §3, RFC 9449 §7.1; OAUTH-AT-09)."""

from collections.abc import Iterable


def render_challenges(
    error: str | None, *, algorithms: Iterable[str], scope: str | None = None
) -> str:
    """`error`: none where no token was sent at all. `algorithms`: by which a proof may be signed.
    `scope`: the one that the token lacks.
    """
    told = "" if error is None else f'error="{error}"'
    if scope is not None:
        told += f', scope="{scope}"'
    algs = f'algs="{" ".join(sorted(algorithms))}"'
    bearer = f"Bearer {told}" if told else "Bearer"
    dpop = f"DPoP {told}, {algs}" if told else f"DPoP {algs}"
    return f"{bearer}, {dpop}"
