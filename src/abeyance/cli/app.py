"""The commands by name, each imported only when it is run, and how they fail.

So `abeyance --help` is quick, and `abeyance token` works without the server's
dependencies. A command returns its exit code; what an operator can mend is an
exception with a `fix`, told in one line without a traceback.
"""

import sys
from collections.abc import Sequence
from typing import Final

import cyclopts

from abeyance import __version__

OK: Final = 0
NO: Final = 1
WRONG: Final = 2
INTERRUPTED: Final = 130

_EXITS = "Exit codes: 0 it went well, 1 the answer is no, 2 the call or the configuration is wrong."


_REVIEW: Final = {
    "list": ("list_requests", "List what waits, or how it ended."),
    "show": ("show", "Show a request."),
    "approve": ("approve", "Approve what was read, or less of it."),
    "deny": ("deny", "Deny what was read."),
    "ask": ("ask", "Ask for a step before anybody decides."),
    "end": ("end", "End a request, and all that came of it."),
}
_CLIENT: Final = {
    "list": ("list_clients", "List clients."),
    "show": ("show", "Show a client."),
    "add": ("add", "Register a client."),
    "replace": ("replace", "Replace a client's registration."),
    "secret": ("secret", "Make a client a new secret."),
    "disable": ("disable", "Disable a client, and end what it has."),
    "enable": ("enable", "Enable a client again."),
}
_INVITATION: Final = {
    "invite": ("invite", "Make a token with which clients may register."),
    "invitations": ("invitations", "List such tokens."),
    "uninvite": ("uninvite", "Withdraw such a token."),
}
_USER: Final = {
    "list": ("list_users", "List people."),
    "show": ("show", "Show a person."),
    "add": ("add", "Add a person."),
    "change": ("change", "Change a person's name and roles."),
    "invite": ("invite", "Make a link by which somebody sets a password."),
    "sign-out": ("sign_out", "End somebody's sessions by force."),
    "disable": ("disable", "Disable a person, and end what they have."),
    "enable": ("enable", "Enable a person again."),
    "erase": ("erase", "Erase a person for good."),
    "sessions": ("sessions", "List where somebody is signed in."),
    "consents": ("consents", "List what a person lets clients do."),
    "withdraw": ("withdraw", "Withdraw what a person lets a client do."),
}


def make_app() -> cyclopts.App:
    """All commands; modules are named, not imported."""
    app = cyclopts.App(
        name="abeyance",
        help='An OAuth authorization server that can answer "not yet".',
        help_epilogue=_EXITS,
        help_format="plaintext",
        version=__version__,
        result_action="return_value",
    )
    app.command("abeyance.cli.demo:demo", help="Tell the whole story on this machine.")
    app.command("abeyance.cli.serve:serve", help="Run the authorization server.")
    app.command("abeyance.cli.healthcheck:healthcheck", help="Ask the server whether it is ready.")
    app.command("abeyance.cli.token:token", help="Get a token, waiting for a decision if need be.")
    app.command("abeyance.cli.making:hash_password", help="Turn a password into a password_hash.")
    app.command("abeyance.cli.making:new_secret", help="Make a client secret and its digest.")
    app.command("abeyance.cli.making:new_key", help="Make a key pair for private_key_jwt.")
    app.command("abeyance.cli.keeping:backup", help="Copy the store, also while it is served.")
    app.command("abeyance.cli.keeping:restore", help="Bring back a copy of the store.")
    app.command("abeyance.cli.moving:export", help="Write the whole store to a file.")
    app.command("abeyance.cli.moving:import_", name="import", help="Bring in an exported store.")
    config = cyclopts.App(name="config", help="Look at the configuration.")
    config.command("abeyance.cli.config:check", help="Say what would be served, or what is wrong.")
    policy = cyclopts.App(name="policy", help="Try the policy.")
    policy.command(
        "abeyance.cli.policy:try_policy", name="test", help="Ask the policy, and be told why."
    )
    config.command("abeyance.cli.config:show", help="Say each setting, and where it comes from.")
    config.command("abeyance.cli.config:schema", help="Print a JSON Schema of the file.")
    keys = cyclopts.App(name="keys", help="See and change the keys that sign tokens.")
    keys.command("abeyance.cli.keys:list_keys", name="list", help="List the signing keys.")
    keys.command("abeyance.cli.keys:rotate", help="Lay down the next signing key.")
    keys.command("abeyance.cli.keys:retire", help="Take a key out of use at once.")
    review = cyclopts.App(name="review", help="Read and decide what waits.")
    client = cyclopts.App(name="client", help="Register, change and disable clients.")
    user = cyclopts.App(name="user", help="Add, invite, disable and erase people.")
    for group, module, commands in (
        (review, "review", _REVIEW),
        (client, "client", _CLIENT),
        (client, "invitation", _INVITATION),
        (user, "user", _USER),
    ):
        for name, (function, text) in commands.items():
            group.command(f"abeyance.cli.admin.{module}:{function}", name=name, help=text)
    for group in (review, client, user):
        app.command(group)
    app.command(config)
    app.command(keys)
    app.command(policy)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    try:
        result = make_app()(
            list(arguments), exit_on_error=False, print_error=False, help_on_error=False
        )
    except cyclopts.CycloptsError as error:
        return _complain(f"{_text_of(error)} See: abeyance --help")
    except ImportError as error:
        if missing := _missing_extra(error):
            return _complain(
                f'this command needs the module {missing}. Run: pip install "abeyance[server]"'
            )
        raise
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if isinstance(getattr(error, "fix", None), str):
            return _complain(str(error))
        raise
    return result if isinstance(result, int) else OK


def _complain(text: str) -> int:
    print(f"abeyance: {text}", file=sys.stderr)
    return WRONG


def _text_of(error: cyclopts.CycloptsError) -> str:
    try:
        # Suggestions for an unknown command import all of them, extras or not.
        return " ".join(str(error).split())
    except ImportError:
        return "There is no such command."


def _missing_extra(error: BaseException | None) -> str | None:
    """The module of somebody else whose absence is at the bottom of this."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            top = error.name.partition(".")[0]
            return None if top == "abeyance" else top
        error = error.__cause__
    return None
