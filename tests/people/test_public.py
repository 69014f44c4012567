"""Public clients: a name and no credential; a key wherever somebody must wait."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from abeyance.parties.client import ClientId
from abeyance.server.settings import load_settings
from abeyance.server.settings_values import ConfigurationError
from tests.config import SECRET
from tests.console.house import HASH
from tests.covers import covers
from tests.people.house import CONFIG, VERIFIER, Flow, public, web
from tests.served import Served, make_key


@covers("SEC-TOK-05", "DTR-RD-23", "T-073", "DTR-SEC-01")
async def test_a_public_client_without_a_key_is_never_deferred(served: Served) -> None:
    app = Flow(public(served))
    keyed, app.client = app.client, public(served).with_dpop(None)
    code = await app.code(scope="read")
    for _ in range(2):
        answer = await app.redeem(code, defer=True)
        assert (answer.status, answer.error) == (400, "invalid_dpop_proof")
        assert "deferral_code" not in answer.json
    now = served.clock.now()
    rita = next(each for each in await served.house.store.list_people() if each.id == "rita")
    assert await served.house.store.count_waiting(rita.id, now=now, at_most=9) == 0
    app.client = keyed
    assert (await app.redeem(code, defer=True)).error == "authorization_pending"


@covers("DTR-SEC-01", "DTR-RD-23")
async def test_without_opting_in_it_gets_the_answer_of_its_grant(served: Served) -> None:
    app = Flow(public(served))
    app.client = public(served).with_dpop(None)
    assert (await app.redeem(await app.code(scope="read"))).error == "invalid_scope"
    token = await app.redeem(await app.code(scope="now"), defer=True)
    assert token.json["token_type"] == "Bearer", "nothing had to wait"


@covers("DTR-SEC-01", "DTR-SEC-03", "DTR-POLL-04", "DTR-BIND-01", "OAUTH-DPOP-14")
async def test_only_its_key_polls_withdraws_and_holds_the_token(served: Served) -> None:
    app = Flow(public(served))
    code = await app.deferred(scope="read")
    for stranger in (public(served).with_dpop(None), public(served).with_dpop(make_key())):
        assert (await stranger.poll(code)).error == "invalid_dpop_proof"
        assert (await stranger.revoke(code)).error == "invalid_dpop_proof"
    await served.approve(code)
    for stranger in (public(served).with_dpop(None), public(served).with_dpop(make_key())):
        assert (await stranger.poll(code)).error == "invalid_dpop_proof"
    token = await app.client.poll(code)
    assert token.json["token_type"] == "DPoP"
    assert token.claims()["cnf"] == {"jkt": served.keys["d1"].public.jkt}


@covers("OAUTH-CLI-01", "OAUTH-CAUTH-05")
async def test_what_a_client_is_stands_in_its_registration_and_not_in_the_request(
    served: Served,
) -> None:
    grant = [("grant_type", "client_credentials"), ("scope", "now")]
    for name, secret, right in (
        ("web", None, False),  # confidential, and shows nothing
        ("app", SECRET, False),  # public, and shows a secret
        ("app", None, True),
        ("nobody", None, False),
    ):
        form = [*grant, ("client_id", name)]
        if secret is not None:
            form.append(("client_secret", secret))
        answer = await served.post("/token", form)
        assert answer.error == ("unauthorized_client" if right else "invalid_client")
        assert answer.status == (400 if right else 401)
    header = [("authorization", "Basic YXBwOg==")]  # app and an empty secret
    assert (await served.post("/token", grant, headers=header)).error == "invalid_client"


@covers("OAUTH-CLI-01", "OAUTH-TOK-11")
async def test_it_never_acts_for_itself(served: Served) -> None:
    client = await served.house.store.find_client(ClientId("app"))
    assert client is not None
    grants = client.grant_types | {"client_credentials"}
    await served.house.store.put_client(replace(client, grant_types=grants))
    answer = await public(served).ask(scope="now")
    assert answer.error == "unauthorized_client"


@covers("OAUTH-CAUTH-05", "DTR-POLL-01", "DTR-ERR-05")
async def test_another_public_client_gets_nothing_by_naming_itself(served: Served) -> None:
    app = Flow(public(served))
    code = await app.deferred(scope="read")
    unknown = await public(served, "spa").poll("A" * 64)
    assert (await public(served, "spa").poll(code)).body == unknown.body
    assert (await public(served, "spa").revoke(code)).status == 200
    assert (await app.client.poll(code)).error == "authorization_pending"


@covers("OAUTH-CLI-04")
async def test_a_client_gets_no_grant_that_it_is_not_registered_for(
    served: Served, flow: Flow
) -> None:
    assert (await flow.client.ask(scope="now")).error == "unauthorized_client"
    code = await flow.code(scope="now")
    for form in (
        [("grant_type", "authorization_code"), ("code", code), ("code_verifier", VERIFIER)],
        [("grant_type", "refresh_token"), ("refresh_token", "A" * 64)],
    ):
        assert (await web(served, "robot").post("/token", form)).error == "unauthorized_client"
    assert (await flow.redeem(code)).status == 200


@covers("OAUTH-CLI-04", "OAUTH-CLI-07", "OAUTH-DEFER-06", "DTR-SEC-04")
@pytest.mark.parametrize("lost", ["scope", "resource", "grant"])
async def test_an_approval_is_worth_nothing_once_the_client_may_not_have_it(
    served: Served, flow: Flow, lost: str
) -> None:
    code = await flow.deferred(scope="read")
    await served.approve(code)
    client = await served.house.store.find_client(ClientId("web"))
    assert client is not None
    match lost:
        case "scope":
            less = replace(client, scope=frozenset({"now"}))
        case "resource":
            less = replace(client, resources=frozenset())
        case _:
            less = replace(client, grant_types=frozenset({"refresh_token"}))
    await served.house.store.put_client(less)
    assert (await flow.client.poll(code)).error == "access_denied"
    await served.house.store.put_client(client)
    assert (await flow.client.poll(code)).error == "access_denied", "and stays so"


def refusal(folder: Path, config: str) -> str:
    (folder / "s1.secret").write_text(SECRET)
    file = folder / "abeyance.toml"
    text = config.replace("{data}", str(folder)).replace("{issuer}", "https://as.example")
    text = text.replace("{password}", HASH).replace("{extra}", "").replace("{approval}", "1h")
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file, environ={})
    return str(caught.value)


@covers("OAUTH-RURI-01", "OAUTH-RURI-04", "OAUTH-RURI-05", "OAUTH-RURI-09", "OAUTH-CLI-04")
@pytest.mark.parametrize(
    ("client", "uri"),
    [
        ("web", "/callback"),
        ("web", "https://web.example/cb#"),
        ("web", "https://web.example/cb#x"),
        ("web", "https://u:p@web.example/cb"),
        ("web", "https://*.web.example/cb"),
        ("web", "https://web.example/*"),
        ("web", "https://web.example\\\\cb"),
        ("web", "https://wéb.example/cb"),
        ("web", "https://web.example/c b"),
        ("web", "http://web.example/cb"),
        ("web", "http://localhost/cb"),
        ("web", "http://127.0.0.1.evil.example/cb"),
        ("web", "com.example.web:/cb"),
        ("web", "javascript:alert(1)"),
        ("web", "https://web.example/cb?code=1"),
        ("web", "https://web.example/cb?x=1&st%61te=1"),
        ("web", "https://web.example/cb?iss=x"),
        ("web", "https://web.example/cb?error=x"),
        ("web", "https://web.example/" + "x" * 2_048),
        ("app", "pocket:/cb"),
        ("app", "com.example.pocket://cb"),
        ("app", "javascript:/alert(1)"),
        ("app", "data:/text/html,x"),
        ("app", "vbscript:/x"),
        ("app", "JavaScript:/x"),
        ("app", "http://127.0.0.2/cb"),
    ],
)
def test_a_redirect_uri_that_could_be_misused_is_not_registered(
    tmp_path: Path, client: str, uri: str
) -> None:
    kept = "https://web.example/other" if client == "web" else "com.example.pocket:/cb"
    assert f'"{kept}"' in CONFIG
    told = refusal(tmp_path, CONFIG.replace(f'"{kept}"', f'"{uri}"'))
    assert "redirect_uris" in told


@covers("OAUTH-RURI-04", "OAUTH-RURI-03")
def test_a_native_client_may_listen_on_its_own_machine(tmp_path: Path) -> None:
    (tmp_path / "s1.secret").write_text(SECRET)
    more = '"com.example.pocket:/cb", "http://localhost/cb", "http://[::1]/cb"'
    config = CONFIG.replace('"com.example.pocket:/cb"', more)
    text = config.replace("{data}", str(tmp_path)).replace("{issuer}", "https://as.example")
    text = text.replace("{password}", HASH).replace("{extra}", "").replace("{approval}", "1h")
    (tmp_path / "abeyance.toml").write_text(text)
    settings = load_settings(tmp_path / "abeyance.toml", environ={})
    app = next(each for each in settings.clients if each.id == "app")
    assert app.native
    assert len(app.redirect_uris) == 4
    assert settings.lifetimes.code == timedelta(seconds=60)
