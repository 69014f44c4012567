"""No secret in a log, a `repr` or a message, at any level (DTR-SEC-05, DTR-INIT-05)."""

import logging
import traceback
from pathlib import Path
from typing import Any

import pytest

from abeyance.client import (
    ClientError,
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
    SealingKey,
    Token,
    generate_key,
)
from abeyance.client.exchange import Received, Send
from abeyance.client.keys import render_private_pem
from tests.client.fakes import (
    ACCESS_TOKEN,
    CLIENT_SECRET,
    CODE,
    Kit,
    answer,
    deferred,
    error,
    granted,
    pending,
    slow_down,
)
from tests.covers import covers

REFRESH = "planted-refresh-token-rrrrrrrrrrrrrrrrrrrr"
PLANTED = (CODE, CLIENT_SECRET, ACCESS_TOKEN, REFRESH)


def everything(kit: Kit, path: Path) -> list[Any]:
    """Go through each kind of answer, the nasty ones with our secrets in the server's own text."""
    seen: list[Any] = []
    key = generate_key()
    for authentication in (
        ClientSecretBasic(CLIENT_SECRET),
        ClientSecretPost(CLIENT_SECRET),
        PrivateKeyJwt(generate_key()),
    ):
        client = kit.client(authentication=authentication, dpop_key=key)
        seen += [client, authentication, key]
        for end in (
            granted("DPoP", refresh_token=REFRESH, id_token=CODE, scope="less"),
            granted("Bearer"),
            error("access_denied", deferral_remark=CODE, error_description=CODE),
            error("invalid_request", error_description=f"bad code {CODE}"),
            error(CODE, error_description=CODE),
            error("invalid_grant", error_description=ACCESS_TOKEN),
            pending(access_token=ACCESS_TOKEN),
        ):
            held = kit.defer(client=client, scope="a b", on_partial="reject")
            seen += [held.inner, held.inner._pursuit.held]
            held.save(path, SealingKey.generate())
            kit.server.says(
                pending(error_description=CODE),
                slow_down(),
                answer(ACCESS_TOKEN.encode(), status=200),
                error("use_dpop_nonce", headers={"DPoP-Nonce": "n"}),
                end,
            )
            try:
                seen.append(held.wait())
            except ClientError as failure:
                seen.append(failure)
                seen.append("".join(traceback.format_exception(failure)))
        kit.server.says(granted("DPoP", refresh_token=REFRESH), deferred())
        token = kit.request(client=client)
        assert isinstance(token, Token)
        seen.append(token)
        held = kit.defer(client=client)
        held.cancel()
    return seen


@covers("DTR-SEC-05")
def test_no_secret_in_any_log_repr_or_message(
    kit: Kit, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen = everything(kit, tmp_path / "state")
    texts = [caplog.text]
    texts += [f"{each!r} {each!s}" for each in seen]
    texts += [f"{record.__dict__}" for record in caplog.records if record.name != "asyncio"]
    for sent in kit.server.seen:
        texts.append(repr(Send("POST", "https://as.test", tuple(sent.headers.items()), sent.body)))
    assert caplog.records
    for secret in PLANTED:
        for text in texts:
            assert secret not in text


@covers("DTR-SEC-05")
def test_no_proof_assertion_or_private_key_in_any_log_or_repr(
    kit: Kit, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen = everything(kit, tmp_path / "state")
    text = caplog.text + "".join(f"{each!r} {each!s}" for each in seen)
    for sent in kit.server.token_requests:
        assert sent.headers["dpop"] not in text
        for name, value in sent.form:
            assert name != "client_assertion" or value not in text
    key = generate_key()
    (middle, *_) = render_private_pem(key).decode().split("\n")[1:-2]
    assert middle not in repr(key) + repr(kit.client(dpop_key=key))


def test_a_response_does_not_show_its_body() -> None:
    assert ACCESS_TOKEN not in repr(Received(200, {"set": ACCESS_TOKEN}, ACCESS_TOKEN.encode()))
