"""What proves a client at the token endpoint proves it once, wherever it is shown again."""

from tests.covers import covers
from tests.served import Served


@covers("SEC-JOSE-25", "OAUTH-CAUTH-17", "OAUTH-PAR-01")
async def test_an_assertion_of_the_token_endpoint_is_used_up_at_the_pushed_one(
    served: Served,
) -> None:
    credentials, _ = served.c2.credentials()
    grant = [("grant_type", "client_credentials"), ("scope", "now")]
    assert (await served.post("/token", [*grant, *credentials])).status == 200
    again = await served.post("/par", [("client_id", "c2"), *credentials])
    assert (again.status, again.error) == (401, "invalid_client")
    fresh, _ = served.c2.credentials()
    assert (await served.post("/par", [("client_id", "c2"), *fresh])).error == "invalid_request"
    assert (await served.post("/token", [*grant, *fresh])).error == "invalid_client"
