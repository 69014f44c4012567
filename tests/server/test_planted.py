"""Secrets planted in a whole story, looked for in what any library logs at any level."""

import logging
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from tests.config import SECRET
from tests.covers import covers
from tests.served import serve


class Everything(logging.Handler):
    """Keeps every record as it was handed over: before anything masks it."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(f"{record.getMessage()} {record.__dict__!r}")


@covers("OAUTH-LOG-01", "SEC-STORE-05", "DTR-SEC-05", "T-222", "T-186", "OAUTH-LOG-06")
async def test_no_planted_secret_reaches_a_logger_even_unmasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("abeyance.") and hasattr(module, "_log"):
            # A logger that has spoken before keeps the pipeline that it had then.
            monkeypatch.setattr(module, "_log", structlog.get_logger(name))
    ear, root, resources = Everything(), logging.getLogger(), ExitStack()
    before = root.level
    root.addHandler(ear)
    root.setLevel(logging.NOTSET)
    planted = [SECRET]
    try:
        async with serve(tmp_path) as served:
            ours = resources.enter_context(capture_logs())
            url = "https://as.example/token"
            for caller in (served.c1, served.s1):
                code = await caller.defer(client_notification_token="planted-" + "n" * 22)
                planted += [code, "planted-" + "n" * 22]
                await caller.poll(code)
                await caller.poll(code)
                await served.c2.poll(code)
                await served.approve(code)
                planted.append((await caller.poll(code)).json["access_token"])
                await caller.poll(code)
                await caller.revoke(planted[-1])
            proof, assertion = served.c1.proof(url), served.c1.assertion()
            planted += [proof, assertion, "wrong-password-of-somebody", "cookie" * 8]
            await served.post(
                "/token",
                [("client_assertion", assertion), ("client_assertion_type", "x")],
                headers=[("dpop", proof)],
            )
            await served.post("/token", [("client_id", "s1"), ("client_secret", planted[-2])])
            await served.post(
                "/sign-in",
                [("name", "rita"), ("password", planted[-2])],
                headers=[
                    ("cookie", f"__Host-abeyance={planted[-1]}"),
                    ("sec-fetch-site", "same-origin"),
                ],
            )
            apply = served.house.store.apply

            async def fault(change: object) -> object:
                raise RuntimeError(f"a fault that says {code} and {change!r}")

            served.house.store.apply = fault  # type: ignore[assignment,method-assign]  # on purpose
            assert (await served.s1.ask(scope="read")).status == 500
            served.house.store.apply = apply  # type: ignore[method-assign]  # as it was
    finally:
        resources.close()
        root.removeHandler(ear)
        root.setLevel(before)
    told = [repr(event) for event in ours]
    assert {"client authentication failed", "unexpected fault"} <= {each["event"] for each in ours}
    for secret in planted:
        assert not [line for line in told + ear.heard if secret in line or secret[:20] in line]
