"""The client library against the real server: who signed in, at once and after a wait."""

from pathlib import Path

from abeyance.client import AsyncPendingToken, ClientSecretBasic, Token, generate_key
from tests.client.test_at_the_server import agree, connect
from tests.config import SECRET
from tests.covers import covers
from tests.openid.house import USERINFO, open_provider
from tests.people.house import REDIRECTS, Flow, web


@covers("OAUTH-OIDC-13", "OAUTH-OIDC-17")
async def test_the_library_learns_who_signed_in_also_when_it_had_to_wait(tmp_path: Path) -> None:
    async with open_provider(tmp_path) as served:
        flow = Flow(web(served, "rp"))
        client = connect(served, "rp", ClientSecretBasic(SECRET), dpop_key=generate_key())
        request = await client.authorization_request(REDIRECTS["rp"], scope="openid email")
        token = await client.exchange_code(request, await agree(flow, request.url))
        assert isinstance(token, Token)
        identity = await client.identify(token, algorithm="ES256")
        assert (identity.subject, identity.auth_time) == ("uma", served.clock.now())
        told = await client.userinfo(token, identity)
        assert told["email"] == "uma@example.com"
        signed_in = served.clock.now()
        request = await client.authorization_request(
            REDIRECTS["rp"], scope="openid profile read", resource=USERINFO
        )
        pending = await client.exchange_code(request, await agree(flow, request.url))
        assert isinstance(pending, AsyncPendingToken)
        served.clock.move(1000)
        await served.approve(pending._pursuit.held.code.reveal())
        late = await pending.wait()
        identity = await client.identify(late, algorithm="ES256")
        assert identity.auth_time == signed_in
        assert (await client.userinfo(late, identity))["name"] == "Uma Underwood"
        again = await client.refresh(token)
        assert isinstance(again, Token)
        assert (await client.identify(again, algorithm="ES256")).subject == "uma"
