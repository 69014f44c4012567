"""How an API of ours asks for another token (RFC 6750 §3, RFC 9449 §7.1; OAUTH-AT-09)."""

from abeyance.proofs.dpop import DPOP_ALGORITHMS


def render_challenges(error: str | None, *, scope: str | None = None) -> str:
    """`error`: none where no token was sent at all. `scope`: the one that it lacks."""
    told = "" if error is None else f'error="{error}"'
    if scope is not None:
        told += f', scope="{scope}"'
    algs = f'algs="{" ".join(sorted(DPOP_ALGORITHMS))}"'
    bearer = f"Bearer {told}" if told else "Bearer"
    dpop = f"DPoP {told}, {algs}" if told else f"DPoP {algs}"
    return f"{bearer}, {dpop}"
