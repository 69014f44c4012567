"""`abeyance review`, `client` and `user`: here, and at a server that runs."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from abeyance.cli import main
from abeyance.cli.admin.printing import plain
from abeyance.client import Client, ClientSecretBasic, PendingToken
from abeyance.server.launch import address_of, reserve, running_server
from abeyance.server.settings import Listen, load_settings
from tests.config import SECRET
from tests.console.house import HASH
from tests.covers import covers

CONFIG: Final = """
issuer = "http://{address}"
data = "data"
authorization_details_types = ["tests.details_types:EXPORT"]

[server]
listen = "{address}"

[scopes]
read = "Read the ledger"
write = "Change the ledger"

[resources]
"https://ledger.example" = "The ledger"

[[reviewers]]
id = "rita"
name = "Rita Renner"
password_hash = "{hash}"

[[rules]]
name = "administration"
when = "scope.exists(s, s.startsWith('abeyance:'))"
then = "issue"

[[rules]]
name = "review"
then = "defer"
reviewers = ["rita"]

[[clients]]
id = "robot"
name = "Robot\u202e"
secret_file = "secret"
scope = ["read", "write"]
resources = ["https://ledger.example"]
authorization_details_types = ["export"]

[[clients]]
id = "ops"
name = "Operations"
secret_file = "secret"
scope = ["abeyance:read", "abeyance:clients", "abeyance:people", "abeyance:requests"]
default_scope = ["abeyance:read", "abeyance:clients", "abeyance:people", "abeyance:requests"]
resources = ["http://{address}/admin"]
"""


class Machine:
    """A configuration, a store, and a shell on the same machine."""

    def __init__(
        self, folder: Path, capsys: pytest.CaptureFixture[str], *, config: str = CONFIG
    ) -> None:
        self._config = config
        self.file = folder / "abeyance.toml"
        self._capsys = capsys
        self.out = self.err = ""
        secret = folder / "secret"
        secret.touch(mode=0o600)
        secret.write_text(SECRET)
        self.secret = secret

    @contextmanager
    def serving(self) -> Iterator[str]:
        with reserve(Listen("127.0.0.1", 0)) as listener:
            self.write(address_of(listener))
            settings = load_settings(self.file, environ={})
            with running_server(settings, listener=listener):
                yield settings.issuer

    def write(self, address: str) -> None:
        text = self._config.replace("{address}", address).replace("{hash}", HASH)
        self.file.write_text(text.replace("\u202e", ""))

    def ask(self, issuer: str, **asked: Any) -> PendingToken:
        with Client(issuer, "robot", ClientSecretBasic(SECRET)) as client:
            answer = client.request_token(**asked)
            assert isinstance(answer, PendingToken)
            return answer

    def run(self, *arguments: str, here: bool = True) -> int:
        where = ["--config", str(self.file)] if here else []
        code = main([*arguments, *where])
        self.out, self.err = self._capsys.readouterr()
        return code

    def json(self, *arguments: str, here: bool = True) -> Any:
        assert self.run(*arguments, "-o", "json", here=here) == 0, self.err
        return json.loads(self.out)


@pytest.fixture
def machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Machine:
    return Machine(tmp_path, capsys)


@pytest.fixture
def waiting(machine: Machine) -> str:
    """A request that waits in the store; no server runs. Its id."""
    with machine.serving() as issuer:
        machine.ask(issuer, scope="read write")
    [listed] = machine.json("review", "list")["items"]
    return str(listed["id"])


@covers("EXT-DECIDE-02", "EXT-EVID-01")
def test_a_reviewer_reads_and_approves_less_on_the_machine(machine: Machine, waiting: str) -> None:
    assert machine.run("review", "list") == 0
    assert waiting in machine.out
    assert "Robot" in machine.out
    assert machine.run("review", "show", waiting) == 0
    assert "scope:read" in machine.out
    shown = machine.json("review", "show", waiting)
    given = ("--seen", shown["seen"], "--as", "rita", "--only", "scope:read", "--for", "30m")
    assert machine.run("review", "approve", waiting, *given) == 0
    assert machine.out.strip() == f"{waiting}: approved"
    again = machine.json("review", "show", waiting)
    assert again["story"][-1]["who"] == "Rita Renner"
    [ended] = machine.json("review", "list", "--all")["items"]
    assert (ended["outcome"], ended["granted_less"]) == ("approved", True)
    assert machine.run("review", "approve", waiting, *given) == 1
    assert "voted" in machine.err


@covers("SEC-UI-16")
def test_nothing_is_decided_unread(
    machine: Machine, waiting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert machine.run("review", "approve", waiting, "--as", "rita") == 2
    assert "--seen" in machine.err
    wrong = ("--seen", "sha-256:other", "--as", "rita")
    assert machine.run("review", "deny", waiting, "--reason", "no", *wrong) == 1
    for said, code in (("no\n", 1), ("\n", 1), ("yes\n", 0)):
        typed = io.StringIO(said)
        monkeypatch.setattr(typed, "isatty", lambda: True)
        monkeypatch.setattr("sys.stdin", typed)
        assert machine.run("review", "deny", waiting, "--reason", "no", "--as", "rita") == code
        assert "scope:read" in machine.err


@covers("EXT-DECIDE-03")
def test_the_operator_decides_only_as_a_reviewer(machine: Machine, waiting: str) -> None:
    seen = machine.json("review", "show", waiting)["seen"]
    assert machine.run("review", "approve", waiting, "--seen", seen) == 1
    assert "no_person" in machine.err
    assert machine.run("review", "approve", waiting, "--seen", seen, "--as", "nobody") == 2
    assert machine.run("review", "end", waiting) == 0
    assert machine.json("review", "list", "--all")["items"][0]["outcome"] == "denied"


def test_clients_are_registered_changed_and_disabled(machine: Machine, tmp_path: Path) -> None:
    machine.write("127.0.0.1:8400")
    resource = "https://ledger.example"
    made = machine.json(
        "client", "add", "new", "--name", "New", "--scope", "read", "--resource", resource
    )
    assert len(made["client_secret"]) > 40
    assert machine.run("client", "list") == 0
    assert "new" in machine.out
    shown = machine.json("client", "show", "new")
    file = tmp_path / "new.json"
    shown["registration"]["client_name"] = "Newer"
    file.write_text(json.dumps(shown))
    change = ("client", "replace", "new", "--from", str(file), "--if-match")
    assert machine.run(*change, '"other"') == 1
    assert machine.run(*change, shown["etag"]) == 0
    assert "Newer" in machine.out
    assert machine.json("client", "secret", "new")["secrets"] == 2
    assert machine.run("client", "disable", "new") == 0
    assert "disabled" in machine.out
    assert machine.run("client", "enable", "new") == 0
    assert machine.run("client", "show", "nowhere") == 1
    assert "not_found" in machine.err
    assert machine.run("client", "add", "bad id", "--name", "x", "--resource", resource) == 1
    assert machine.run("client", "add") == 2


def test_clients_are_invited_to_register_and_uninvited(machine: Machine) -> None:
    machine.write("127.0.0.1:8400")
    made = machine.json("client", "invite", "--uses", "3", "--days", "2", "--note", "for Ann")
    assert made["left"] == 3
    assert machine.run("client", "invitations") == 0
    assert made["id"] in machine.out
    assert made["token"] not in machine.out
    assert machine.run("client", "uninvite", made["id"]) == 0
    assert machine.run("client", "uninvite", made["id"]) == 1
    assert machine.run("client", "invite", "--uses", "0") == 1
    assert machine.json("client", "invitations")["items"] == []


def test_people_are_added_invited_and_disabled(machine: Machine) -> None:
    machine.write("127.0.0.1:8400")
    assert machine.run("user", "add", "neo", "--name", "Neo", "--role", "reviewer") == 0
    assert machine.run("user", "invite", "neo") == 0
    assert machine.out.startswith("http://127.0.0.1:8400/welcome/")
    assert machine.json("user", "list", "--role", "reviewer")["items"][0]["id"] == "neo"
    tag = machine.json("user", "show", "neo")["etag"]
    assert machine.run("user", "change", "neo", "--name", "Neo Two", "--if-match", tag) == 0
    assert "user" in machine.out
    for command in (("sessions",), ("sign-out",), ("consents",), ("disable",), ("enable",)):
        assert machine.run("user", *command, "neo") == 0
    assert machine.run("user", "withdraw", "neo", "robot") == 1
    assert machine.run("user", "invite", "rita") == 1
    assert "declared" in machine.err


@covers("OAUTH-LOG-07")
def test_nobody_is_erased_by_a_slip_of_the_hand(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.write("127.0.0.1:8400")
    assert machine.run("user", "add", "neo", "--name", "Neo") == 0
    assert machine.run("user", "erase", "neo") == 2
    assert "--yes" in machine.err
    for said in ("", "yes\n", "ne\n", "rita\n"):
        typed = io.StringIO(said)
        monkeypatch.setattr(typed, "isatty", lambda: True)
        monkeypatch.setattr("sys.stdin", typed)
        assert machine.run("user", "erase", "neo") == 1
        assert "Nobody was erased" in machine.err
    assert machine.run("user", "show", "neo") == 0
    typed = io.StringIO("neo\n")
    monkeypatch.setattr(typed, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", typed)
    assert machine.run("user", "erase", "neo") == 0
    assert "erased-" in machine.out
    assert machine.run("user", "show", "neo") == 1
    assert machine.run("user", "erase", "rita", "--yes") == 1
    assert "declared" in machine.err


def test_a_server_that_runs_is_spoken_to_and_its_store_left_alone(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with machine.serving() as issuer:
        machine.ask(issuer, scope="read")
        assert machine.run("client", "list") == 2
        assert f"--server {issuer}" in machine.err
        there = ["--server", issuer, "--client-id", "ops"]
        secret = ["--client-secret-file", str(machine.secret)]
        listed = machine.json("review", "list", *there, *secret, here=False)["items"]
        assert [each["client_id"] for each in listed] == ["robot"]
        seen = machine.json("review", "show", listed[0]["id"], *there, *secret, here=False)["seen"]
        given = ("--seen", seen, *there, *secret)
        assert machine.run("review", "approve", listed[0]["id"], *given, here=False) == 1
        assert "insufficient_scope" in machine.err
        assert machine.run("review", "end", listed[0]["id"], *there, *secret, here=False) == 0
        assert machine.run("client", "list", "--server", issuer, here=False) == 2
        assert machine.run("client", "list", *there, here=False) == 2
        monkeypatch.setenv("ABEYANCE_TOKEN", "not-a-token")
        assert machine.run("client", "list", "--server", issuer, here=False) == 1
        assert "not-a-token" not in machine.err
        monkeypatch.setenv("ABEYANCE_CLIENT_SECRET", "wrong" * 9)
        assert machine.run("client", "list", *there, here=False) == 1
    assert machine.run("client", "list", *there, here=False) == 1
    assert machine.run("client", "list", "--server", issuer, "--config", "x", here=False) == 2


@covers("SEC-UI-07")
def test_what_clients_wrote_does_not_move_the_terminal() -> None:
    assert plain("a\x1b[2Jb\u202ec\nd") == "a<1B>[2Jb<202E>c d"
