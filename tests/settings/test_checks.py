"""Single settings and what they must agree on."""

from datetime import timedelta
from pathlib import Path

import pytest

from abeyance.policy.decider import Defer
from abeyance.policy.rules import Rules
from abeyance.server.admin import scopes as admin
from abeyance.server.settings import Caution
from tests.covers import covers
from tests.settings.files import RESOURCES, RITA, SCOPES, client, read, refuse, rule

PUBLIC = '[server]\nlisten = "0.0.0.0:8400"\n'


# --- the issuer


@pytest.mark.parametrize(
    "issuer", ["https://as.example", "https://as.example:8443", "https://as.example/tenant/one"]
)
def test_an_https_issuer_may_be_served_anywhere(tmp_path: Path, issuer: str) -> None:
    settings = read(tmp_path, f'issuer = "{issuer}"', PUBLIC)
    assert settings.issuer == issuer
    assert not settings.is_loopback()


@pytest.mark.parametrize(
    "issuer",
    [
        "https://as.example/",
        "https://as.example/path/",
        "https://as.example?",
        "https://as.example?a=b",
        "https://as.example#",
        "https://AS.example",
        "HTTPS://as.example",
        "https://as.example:443",
        "https://as.example:",
        "https://as.example:70000",
        "https://user@as.example",
        "https://as.example/a/../b",
        "https://as.example//a",
        "https://as.example/%61",
        "https://",
        "as.example",
        "ftp://as.example",
        "https:/as.example",
        " https://as.example",
    ],
)
@covers("OAUTH-ISS-03")
def test_an_issuer_has_one_spelling(tmp_path: Path, issuer: str) -> None:
    assert refuse(tmp_path, f'issuer = "{issuer}"').key == "issuer"


@pytest.mark.parametrize(
    ("issuer", "listen"),
    [
        ("http://127.0.0.1:8400", "0.0.0.0:8400"),
        ("http://as.example", "127.0.0.1:8400"),
        ("http://as.example", "0.0.0.0:8400"),
        ("http://127.0.0.1.example", "127.0.0.1:8400"),
        ("http://localhost.example", "127.0.0.1:8400"),
        ("http://10.0.0.1", "127.0.0.1:8400"),
        ("http://[::1]:8400", "[::]:8400"),
    ],
)
@covers("SEC-OPS-01")
def test_an_http_issuer_is_refused_beyond_loopback(
    tmp_path: Path, issuer: str, listen: str
) -> None:
    error = refuse(tmp_path, f'issuer = "{issuer}"', f'[server]\nlisten = "{listen}"')
    assert error.key == "issuer"
    assert "loopback" in error.problem


@pytest.mark.parametrize(
    ("issuer", "listen"),
    [
        ("http://localhost:8400", "127.0.0.1:8400"),
        ("http://127.0.0.1:9999/as", "localhost:1"),
        ("http://[::1]:8400", "[::1]:8400"),
    ],
)
def test_an_http_issuer_is_allowed_on_loopback(tmp_path: Path, issuer: str, listen: str) -> None:
    assert read(tmp_path, f'issuer = "{issuer}"', f'[server]\nlisten = "{listen}"').is_loopback()


def test_beyond_loopback_the_issuer_must_be_named(tmp_path: Path) -> None:
    assert refuse(tmp_path, PUBLIC).key == "issuer"


@pytest.mark.parametrize("where", ['listen = "0.0.0.0:8400"', 'listen = "127.0.0.1:8400"'])
@covers("SEC-OPS-02")
def test_what_is_insecure_is_refused_for_a_public_issuer(tmp_path: Path, where: str) -> None:
    public = 'issuer = "https://as.example"'
    error = refuse(tmp_path, public, f"[server]\n{where}\ndebug = true\n")
    assert error.key == "server.debug"
    assert read(tmp_path, "[server]\ndebug = true\n").is_loopback()


@covers("SEC-OPS-02")
def test_the_demo_is_refused_beyond_loopback(tmp_path: Path) -> None:
    assert refuse(tmp_path, 'issuer = "https://as.example"', demo=True).key == "demo"
    assert read(tmp_path, demo=True).demo


# --- addresses


@pytest.mark.parametrize(
    "listen", ["8400", "127.0.0.1", "127.0.0.1:", ":8400", "::1:8400", "[127.0.0.1]:1", "a:99999"]
)
def test_an_address_has_a_host_and_a_port(tmp_path: Path, listen: str) -> None:
    assert refuse(tmp_path, f'[server]\nlisten = "{listen}"').key == "server.listen"


# --- proxies


@covers("OAUTH-HTTP-01", "SEC-OPS-07")
def test_no_proxy_is_trusted_unless_it_is_named(tmp_path: Path) -> None:
    assert read(tmp_path).trusted_proxies == ()
    named = '[server]\ntrusted_proxies = ["10.0.0.0/8", "127.0.0.1", "fd00::/8"]\n'
    networks = read(tmp_path, named).trusted_proxies
    assert [str(each) for each in networks] == ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8"]
    environ = {"ABEYANCE_SERVER__TRUSTED_PROXIES": "10.0.0.1, ::1"}
    networks = read(tmp_path, named, environ=environ).trusted_proxies
    assert [str(each) for each in networks] == ["10.0.0.1/32", "::1/128"]


@covers("OAUTH-HTTP-01", "SEC-OPS-07")
@pytest.mark.parametrize(
    "proxy",
    ["", "proxy.example", "10.0.0", "10.0.0.1/8", "10.0.0.1:80", "[::1]", "*", "0.0.0.0/0", "::/0",
     "::ffff:10.0.0.1", " 10.0.0.1"],
)  # fmt: skip
def test_a_proxy_is_an_address_or_a_network_and_never_everybody(tmp_path: Path, proxy: str) -> None:
    error = refuse(tmp_path, f'[server]\ntrusted_proxies = ["10.0.0.1", "{proxy}"]\n')
    assert error.key == "server.trusted_proxies"
    assert repr(proxy) in error.problem


# --- durations


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90s", timedelta(seconds=90)),
        ("10m", timedelta(minutes=10)),
        ("36h", timedelta(hours=36)),
        ("30d", timedelta(days=30)),
        ("1h30m", timedelta(minutes=90)),
    ],
)
def test_a_duration_is_a_number_and_a_unit(tmp_path: Path, text: str, length: timedelta) -> None:
    assert read(tmp_path, f'[lifetimes]\nwaiting = "{text}"').lifetimes.waiting == length


@pytest.mark.parametrize(
    "text", ["", "10", "10 m", "1.5h", "-5m", "10M", "1w", "99999999999d", "٣m"]
)
def test_what_is_no_duration_is_refused_with_an_example(tmp_path: Path, text: str) -> None:
    error = refuse(tmp_path, f'[lifetimes]\nwaiting = "{text}"')
    assert error.key == "lifetimes.waiting"
    assert '"10m"' in error.fix


@pytest.mark.parametrize(
    ("name", "longest", "too_long"),
    [
        ("access_token", "1h", "3601s"),
        ("waiting", "30d", "30d1s"),
        ("interval", "10m", "601s"),
        ("approval", "30d", "31d"),
    ],
)
def test_each_lifetime_has_a_ceiling(
    tmp_path: Path, name: str, longest: str, too_long: str
) -> None:
    read(tmp_path, f'[lifetimes]\n{name} = "{longest}"')
    for text in (too_long, "0s"):
        error = refuse(tmp_path, f'[lifetimes]\n{name} = "{text}"')
        assert error.key == f"lifetimes.{name}"


def test_an_interval_must_leave_time_to_poll(tmp_path: Path) -> None:
    error = refuse(tmp_path, '[lifetimes]\nwaiting = "60s"\ninterval = "60s"')
    assert error.key == "lifetimes.interval"
    own = ('reviewers = ["rita"]', 'lifetime = "5s"')
    error = refuse(tmp_path, RITA, rule(*own, name="r", then="defer"))
    assert error.key == "rules[r].interval"


@pytest.mark.parametrize("value", ["0", "-1"])
def test_a_limit_is_never_nothing(tmp_path: Path, value: str) -> None:
    error = refuse(tmp_path, f"[limits]\ncreations_burst = {value}")
    assert error.key == "limits.creations_burst"


# --- scopes and resources


@pytest.mark.parametrize("name", ["with space", 'qu"ote', "ü", ""])
@covers("OAUTH-SCOPE-01")
def test_a_declared_scope_is_one_scope_token(tmp_path: Path, name: str) -> None:
    assert refuse(tmp_path, f"[scopes]\n'{name}' = 'Something'").key == f"scopes[{name}]"


@pytest.mark.parametrize("meaning", ["", "  ", "a\\nb", "x" * 201])
def test_a_scope_has_a_meaning_that_a_reviewer_can_read(tmp_path: Path, meaning: str) -> None:
    assert refuse(tmp_path, f'[scopes]\nread = "{meaning}"').key == "scopes[read]"


def test_the_admin_api_is_there_by_itself_and_means_what_it_says(tmp_path: Path) -> None:
    settings = read(tmp_path)
    place = f"{settings.issuer}/admin"
    assert place in settings.resources
    assert {name for name in settings.scopes if name.startswith("abeyance:")} == set(admin.SCOPES)
    for table, name in (("scopes", "abeyance:read"), ("resources", place)):
        error = refuse(tmp_path, f'[{table}]\n"{name}" = "Something harmless"')
        assert error.key == f"{table}[{name}]"


@pytest.mark.parametrize("uri", ["api.example", "https://api.example#part", "/api"])
def test_a_resource_is_an_absolute_uri(tmp_path: Path, uri: str) -> None:
    assert refuse(tmp_path, f"[resources]\n'{uri}' = 'The API'").key == f"resources[{uri}]"


@covers("OAUTH-SCOPE-03")
def test_a_client_has_declared_scopes_only(tmp_path: Path) -> None:
    error = refuse(tmp_path, SCOPES, RESOURCES, client('scope = ["raed"]'))
    assert error.key == "clients[agent].scope"
    assert error.fix == 'Did you mean "read"?'


@covers("OAUTH-SCOPE-02")
def test_the_servers_default_scope_serves_a_client_as_far_as_it_may_have_it(
    tmp_path: Path,
) -> None:
    default = 'default_scope = ["read", "write"]'
    settings = read(
        tmp_path,
        default,
        SCOPES,
        RESOURCES,
        client('scope = ["read"]', name="a"),
        client('scope = ["read", "write"]', 'default_scope = ["write"]', name="b"),
        client(name="c"),
    )
    assert [each.default_scope for each in settings.clients] == [{"read"}, {"write"}, frozenset()]


@covers("OAUTH-SCOPE-04")
def test_a_default_scope_is_never_wider_than_the_clients(tmp_path: Path) -> None:
    error = refuse(
        tmp_path, SCOPES, RESOURCES, client('scope = ["read"]', 'default_scope = ["write"]')
    )
    assert error.key == "clients[agent].default_scope"


# --- rules and the policy


def test_rules_are_read_in_their_order_with_the_terms_of_lifetimes(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        '[lifetimes]\nwaiting = "8h"\ninterval = "10s"\napproval = "30m"\n',
        RITA,
        rule('when = "bound"', name="first"),
        rule('reviewers = ["rita"]', 'approval_lifetime = "5m"', name="second", then="defer"),
    )
    assert isinstance(settings.decider, Rules)
    first, second = settings.decider.rules
    assert (first.name, first.when) == ("first", "bound")
    assert isinstance(second.verdict, Defer)
    assert second.verdict.plan.reviewers == {"rita"}
    assert second.verdict.interval == timedelta(seconds=10)
    assert second.verdict.lifetime == timedelta(hours=8)
    assert second.verdict.approval_lifetime == timedelta(minutes=5)


@pytest.mark.parametrize(
    ("lines", "then", "key", "fix"),
    [
        (["when = \"clinet.id == 'a'\""], "issue", "when", "client.id"),
        (['when = "size(scope)"'], "issue", "when", "Compare"),
        (['reviewers = ["rita"]'], "issue", "reviewers", "Leave it out"),
        (['interval = "5s"'], "deny", "interval", "Leave it out"),
        ([], "defer", "reviewers", "Name who"),
        (["reviewers = []"], "defer", "reviewers", "Name who"),
        (['reviewers = ["ritta"]'], "defer", "reviewers", '"rita"'),
        (['reviewers = ["rita"]', 'lifetime = "31d"'], "defer", "lifetime", "30d"),
        ([], "allow", "then", '"deny"'),
    ],
)
def test_a_bad_rule_stops_the_start_with_its_name_and_the_fix(
    tmp_path: Path, lines: list[str], then: str, key: str, fix: str
) -> None:
    error = refuse(tmp_path, RITA, rule(*lines, name="payments", then=then))
    assert error.key == f"rules[payments].{key}"
    assert fix in error.fix


def test_without_a_rule_it_is_remarked_that_everything_is_denied(tmp_path: Path) -> None:
    assert [each.key for each in read(tmp_path).warnings] == ["rules"]
    assert read(tmp_path, rule()).warnings == ()


def test_a_rule_whose_reviewers_cannot_sign_in_is_remarked(tmp_path: Path) -> None:
    olga = '[[reviewers]]\nid = "olga"\n'
    settings = read(tmp_path, olga, rule('reviewers = ["olga"]', name="r", then="defer"))
    [caution] = settings.warnings
    assert caution == Caution(
        "rules[r].reviewers", "none of them has a password, so nobody can decide"
    )


def test_a_callable_takes_the_place_of_the_rules(tmp_path: Path) -> None:
    (tmp_path / "own_policy.py").write_text("def decide(question):\n    return None\n")
    top = 'policy = "own_policy:decide"\npython_path = ["."]'
    assert read(tmp_path, top).decider.version.startswith("own_policy:decide@")
    assert refuse(tmp_path, top, rule()).key == "policy"
    assert "own_policies" in refuse(tmp_path, 'policy = "own_policies:decide"').problem


# --- authorization_details types


def test_a_details_type_is_found_by_module_and_name(tmp_path: Path) -> None:
    (tmp_path / "own_types.py").write_text(
        "from abeyance.access.members import Text, declare\n"
        "NOTE = declare('note', title='Write {text}', members={'text': Text()})\n"
        "class Half:\n    name = 'half'\n"
    )
    top = 'python_path = ["."]\nauthorization_details_types = '
    settings = read(tmp_path, top + '["own_types:NOTE"]')
    assert settings.types.names() == ("note",)
    twice = refuse(tmp_path, top + '["own_types:NOTE", "own_types:NOTE"]')
    assert twice.key == "authorization_details_types[1]"
    for name in ("own_types:NOTES", "own_typos:NOTE", "no-such-entry-point", "own_types:Half"):
        error = refuse(tmp_path, top + f'["{name}"]')
        assert error.key == "authorization_details_types[0]"


def test_a_details_type_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plugged_in.py").write_text(
        "from abeyance.access.members import Text, declare\n"
        "MEMO = declare('memo', title='Write {text}', members={'text': Text()})\n"
    )
    info = tmp_path / "plugged_in-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged-in\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[abeyance.details_types]\nmemo = plugged_in:MEMO\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert read(tmp_path, 'authorization_details_types = ["memo"]').types.names() == ("memo",)
    error = refuse(tmp_path, 'authorization_details_types = ["memos"]')
    assert error.fix == 'Did you mean "memo"?'


def test_a_client_has_known_details_types_only(tmp_path: Path) -> None:
    error = refuse(tmp_path, RESOURCES, client('authorization_details_types = ["payment"]'))
    assert error.key == "clients[agent].authorization_details_types"
