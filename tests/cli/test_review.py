"""Deciding on the command line: less of a request, at a server, and in whose name."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urljoin

import httpx2
import pytest

from abeyance.cli.demo.pages import Form, Page
from tests.cli.test_admin import CONFIG, Machine
from tests.console.house import PASSWORD
from tests.covers import covers

DESK = """
[[clients]]
id = "desk"
name = "A desk of one's own"
token_endpoint_auth_method = "none"
application_type = "native"
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["http://127.0.0.1/callback"]
scope = ["abeyance:read", "abeyance:decide"]
default_scope = ["abeyance:read", "abeyance:decide"]
resources = ["http://{address}/admin"]
"""
EXPORT = {
    "type": "export",
    "tables": ["customers", "leads"],
    "budget": {"amount": "50.00", "currency": "EUR"},
}


@pytest.fixture
def machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Machine:
    return Machine(tmp_path, capsys, config=CONFIG + DESK)


@pytest.fixture
def waiting(machine: Machine) -> str:
    """A request to export two tables that waits in the store; no server runs. Its id."""
    with machine.serving() as issuer:
        machine.ask(issuer, scope="read", authorization_details=[EXPORT])
    [listed] = machine.json("review", "list")["items"]
    return str(listed["id"])


@covers("EXT-NARROW-01", "SEC-UI-17")
def test_parts_and_limits_of_a_request_are_shown_and_left_out(
    machine: Machine, waiting: str
) -> None:
    assert machine.run("review", "show", waiting) == 0
    for line in ("part detail:0/tables:0: customers", "limit detail:0/budget=50.00"):
        assert line in machine.out
    seen = machine.json("review", "show", waiting)["seen"]
    approve = ("review", "approve", waiting, "--seen", seen, "--as", "rita")
    for wrong in (
        ("--part", "detail:0/tables:7"),
        ("--part", "scope:read/x"),
        ("--limit", "detail:0/budget"),
        ("--limit", "detail:0/else=1"),
        ("--only", "scope:write"),
    ):
        assert machine.run(*approve, *wrong) == 2
        assert wrong[0] in machine.err
    for refused in ("detail:0/budget=50.01", "detail:0/budget=x"):
        assert machine.run(*approve, "--limit", refused) == 1
    assert machine.json("review", "show", waiting)["version"] == 1

    less = ("--part", "detail:0/tables:1", "--limit", "detail:0/budget=20", "--note", "Enough.")
    assert machine.run(*approve, *less) == 0
    [vote] = machine.json("review", "show", waiting)["votes"]
    [detail] = vote["granted"]["authorization_details"]
    assert detail["tables"] == ["leads"]
    assert detail["budget"]["amount"] in ("20", "20.00")
    assert vote["by_way_of"] == "command line"
    assert machine.run("review", "show", waiting) == 0
    assert "= Rita Renner, approve: Enough." in machine.out


def test_what_the_operator_does_is_told_as_theirs_even_beside_a_reviewer(
    machine: Machine, waiting: str
) -> None:
    assert machine.run("review", "end", waiting, "--as", "rita") == 0
    told = machine.json("review", "show", waiting)["story"][-1]
    assert (told["who"], told["what"]) == ("The operator", "ended it")


@covers("EXT-DECIDE-02", "EXT-DECIDE-03", "DTR-SEC-01")
def test_a_reviewer_decides_at_a_server_with_a_token_of_their_own(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with machine.serving() as issuer:
        machine.ask(issuer, scope="read write")
        opened: list[str] = []
        monkeypatch.setattr("webbrowser.open", person("rita", opened.append))
        there = ["--server", issuer, "--client-id", "desk", "--keep", str(tmp_path / "kept")]
        [listed] = machine.json("review", "list", *there, here=False)["items"]
        assert opened[0] in machine.err
        name = listed["id"]
        seen = machine.json("review", "show", name, *there, here=False)["seen"]
        stale = ("review", "approve", name, "--seen", "sha-256:other", *there)
        assert machine.run(*stale, here=False) == 1
        assert machine.run("review", "end", name, *there, here=False) == 1
        assert "insufficient_scope" in machine.err
        approve = ("review", "approve", name, "--seen", seen, "--only", "scope:read", *there)
        assert machine.run(*approve, here=False) == 0, machine.err
        [vote] = machine.json("review", "show", name, *there, here=False)["votes"]
        assert (vote["person_id"], vote["by_way_of"]) == ("rita", "access token of desk")
        assert len(opened) == 1, "what is kept serves all the calls"
        assert vote["granted"]["scope"] == "read"


def test_a_token_is_not_sent_in_the_clear(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ABEYANCE_TOKEN", "a-token-of-somebody")
    for server in (
        "http://as.example",
        "https://a@as.example",
        "as.example",
        "https://as.example#",
    ):
        assert machine.run("client", "list", "--server", server, here=False) == 2
        assert "--server" in machine.err
        assert "a-token-of-somebody" not in machine.err


def test_a_name_stays_one_part_of_the_address(machine: Machine) -> None:
    machine.write("127.0.0.1:8400")
    for strange in ("robot?limit=1", "robot/secret", "x/../robot", "robot#", "%72obot", "", " "):
        assert machine.run("client", "disable", strange) in (1, 2)
    assert machine.json("client", "show", "robot")["enabled"] is True


def test_every_answer_is_json_where_that_is_asked(machine: Machine, waiting: str) -> None:
    for command in (
        ("review", "list"),
        ("review", "show", waiting),
        ("client", "list"),
        ("client", "show", "robot"),
        ("client", "disable", "robot"),
        ("user", "list"),
        ("user", "show", "rita"),
        ("user", "consents", "rita"),
    ):
        assert machine.run(*command, "--output", "json") == 0
        assert isinstance(json.loads(machine.out), dict)


def person(name: str, tell: Callable[[str], None]) -> Callable[[str], None]:
    """A browser in which this person signs in and agrees, beside the command that waits."""

    def come(url: str) -> None:
        with httpx2.Client(follow_redirects=True, timeout=30, trust_env=False) as http:
            at, page = _read(http.get(url))
            sign_in, consent = page.find("/sign-in"), None
            if sign_in is not None:
                at, page = _send(http, at, sign_in, name=name, password=PASSWORD)
            consent = page.find("/authorize/consent")
            if consent is not None:
                _send(http, at, consent, decision="agree")

    def open_browser(url: str) -> None:
        tell(url)
        threading.Thread(target=come, args=(url,), daemon=True).start()

    return open_browser


def _send(http: httpx2.Client, at: str, form: Form, **fields: str) -> tuple[str, Page]:
    target = urljoin(at, form.action)
    origin = str(httpx2.URL(target).copy_with(raw_path=b"/")).rstrip("/")
    answer = http.post(target, data={**form.fields, **fields}, headers={"Origin": origin})
    return _read(answer)


def _read(response: httpx2.Response) -> tuple[str, Page]:
    page = Page()
    page.feed(response.text)
    return str(response.url), page
