"""What a first request asks, within what its client may (OAUTH-SCOPE, -RES, -RAR; DTR-OPT)."""

import json
from dataclasses import replace

import pytest

from abeyance.access.access import Access
from abeyance.access.details import DetailsTypes
from abeyance.oauth.asking import (
    CompletionMode,
    check_still_allowed,
    read_access,
    read_completion_mode,
    read_notification_token,
)
from abeyance.parties.client import Client
from abeyance.wire.errors import (
    InvalidAuthorizationDetails,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    OAuthError,
)
from abeyance.wire.form import Form
from tests.access.examples import ACCOUNT, API, HOUR, TYPES, access, account, payment
from tests.covers import covers
from tests.oauth.examples import client, form


def asks(sent: Form, known: Client | None = None) -> Access:
    return read_access(sent, client() if known is None else known, TYPES, HOUR)


def details(*objects: object) -> str:
    return json.dumps(objects)


# --- scope


@covers("OAUTH-SCOPE-01", "OAUTH-SCOPE-03")
def test_a_scope_within_the_clients_is_asked_as_sent() -> None:
    assert asks(form(scope="write read write")) == access("read write")


@covers("OAUTH-SCOPE-02")
@pytest.mark.parametrize("sent", [form(), form(scope="")])
def test_an_omitted_scope_is_the_clients_default(sent: Form) -> None:
    assert asks(sent) == access("read")


@covers("OAUTH-SCOPE-02")
def test_an_omitted_scope_without_a_default_is_refused() -> None:
    with pytest.raises(InvalidScope):
        asks(form(), client(default_scope=""))


@covers("OAUTH-SCOPE-03", "OAUTH-SCOPE-06")
@pytest.mark.parametrize("scope", ["admin", "read admin", "Read", "read*", "rea"])
def test_a_scope_that_the_client_may_not_have_is_refused_whole(scope: str) -> None:
    with pytest.raises(InvalidScope):
        asks(form(scope=scope))


@covers("OAUTH-RAR-10")
def test_details_without_a_scope_ask_no_scope() -> None:
    # The default would widen a request that said exactly what it wants.
    assert asks(form(authorization_details=details(payment()))) == access("", payment())


@covers("OAUTH-RAR-10")
def test_details_and_scope_stand_side_by_side() -> None:
    sent = form(scope="write", authorization_details=details(account("read")))
    assert asks(sent) == access("write", account("read"))


# --- resource


@covers("OAUTH-RES-02", "OAUTH-RES-06")
@pytest.mark.parametrize("resource", [API, API + "/"])
def test_a_resource_is_asked_in_its_registered_spelling(resource: str) -> None:
    assert asks(form(resource=resource)).resources == {API}


@covers("OAUTH-RES-02")
@pytest.mark.parametrize(
    "resource", ["https://other.example", API + "/v1", API + "#x", "nowhere", API.upper()]
)
def test_a_resource_that_the_client_may_not_use_is_no_target(resource: str) -> None:
    with pytest.raises(InvalidTarget):
        asks(form(resource=resource))


@covers("OAUTH-RES-04", "OAUTH-AT-04")
def test_one_token_is_for_one_resource() -> None:
    both = client(resources=(API, "https://b.example"))
    with pytest.raises(InvalidTarget):
        asks(form(("resource", API), ("resource", "https://b.example")), both)
    with pytest.raises(InvalidTarget):
        asks(form(), both)
    assert asks(form(resource="https://b.example"), both).resources == {"https://b.example"}


def test_the_same_resource_twice_is_one_resource() -> None:
    assert asks(form(("resource", API), ("resource", API))).resources == {API}


def test_a_client_without_a_resource_can_ask_for_none() -> None:
    with pytest.raises(InvalidTarget):
        asks(form(), client(resources=()))


# --- details


@covers("OAUTH-RAR-02")
def test_a_type_that_the_client_may_not_use_is_refused() -> None:
    sent = form(authorization_details=details({"type": "folders", "names": ["a"]}))
    with pytest.raises(InvalidAuthorizationDetails):
        asks(sent)
    assert len(asks(sent, client(details_types=("folders",))).details) == 1


@covers("OAUTH-RAR-02")
def test_one_type_that_is_not_allowed_refuses_all() -> None:
    sent = form(authorization_details=details(payment(), account()))
    with pytest.raises(InvalidAuthorizationDetails):
        asks(sent, client(details_types=("payment",)))


@covers("DTR-ERR-10", "OAUTH-PARAM-08")
@pytest.mark.parametrize(
    "sent",
    [
        form(scope="jane.doe@corp.example"),
        form(resource="https://jane.doe.example"),
        form(resource="jane.doe"),
        form(authorization_details='[{"type":"jane.doe"}]'),
        form(authorization_details="jane.doe"),
    ],
)
def test_a_refusal_never_repeats_what_was_sent(sent: Form) -> None:
    with pytest.raises(OAuthError) as refused:
        asks(sent)
    assert "jane" not in refused.value.description
    assert refused.value.status == 400


def test_the_lifetime_is_the_servers_and_not_the_clients() -> None:
    assert asks(form(lifetime="999999", expires_in="999999", scope="read")).lifetime == HOUR


# --- the opt-in


@covers("DTR-OPT-01", "DTR-OPT-02", "T-049", "T-050", "T-051", "T-052", "T-054", "DTR-RD-11")
@pytest.mark.parametrize(
    ("mode", "opted_in"),
    [
        (None, False),
        ("", False),
        ("deferred", True),
        ("other", False),
        ("other deferred", True),
        ("deferred other", True),
        ("deferred deferred", True),
        ("Deferred", False),
        ("DEFERRED", False),
        ("undeferred", False),
        ("deferred2", False),
        ("deferred,x", False),
        ("x,deferred", False),
        ("deferred;x", False),
        ("\u00a0deferred", False),
        (" deferred", True),
        ("deferred ", True),
        ("deferred_interactive", False),
        ("revisable", False),
    ],
)
def test_only_the_value_itself_opts_in(mode: str | None, opted_in: bool) -> None:
    sent = form() if mode is None else form(completion_mode=mode)
    told = read_completion_mode(sent, client(), interact=False)
    assert told == CompletionMode(opted_in, interactive=False)


@covers("DTR-RD-27", "EXT-META-02", "T-261", "DTR-OPT-01")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("deferred_interactive", CompletionMode(deferred=True, interactive=True)),
        ("deferred deferred_interactive", CompletionMode(deferred=True, interactive=True)),
        ("deferred_interactive x", CompletionMode(deferred=True, interactive=True)),
        ("deferred", CompletionMode(deferred=True, interactive=False)),
        ("deferred_interactive2", CompletionMode(deferred=False, interactive=False)),
        ("", CompletionMode(deferred=False, interactive=False)),
    ],
)
def test_the_interactive_value_opts_in_by_itself_and_nothing_else_does(
    value: str, expected: CompletionMode
) -> None:
    assert read_completion_mode(form(completion_mode=value), client(), interact=True) == expected


@covers("EXT-META-04", "T-261")
def test_the_interactive_value_means_nothing_to_a_client_that_registered_other_profiles() -> None:
    told = form(completion_mode="deferred_interactive")
    for profiles, interactive in (({"wait"}, False), (set(), False), ({"interact"}, True)):
        registered = replace(client(), profiles=frozenset(profiles))
        mode = read_completion_mode(told, registered, interact=True)
        assert mode == CompletionMode(interactive, interactive)


@covers("DTR-OPT-02", "SEC-TOK-20")
def test_a_list_beyond_every_use_is_refused() -> None:
    longest = form(completion_mode="deferred".ljust(512))
    assert read_completion_mode(longest, client(), interact=True).deferred
    with pytest.raises(InvalidRequest):
        read_completion_mode(form(completion_mode="deferred".ljust(513)), client(), interact=True)


@covers("T-054", "OAUTH-PARAM-01")
def test_a_tab_is_no_separator() -> None:
    with pytest.raises(InvalidRequest):
        form(completion_mode="deferred\tx")


@covers("T-053", "OAUTH-PARAM-02")
def test_the_parameter_twice_is_a_bad_request() -> None:
    with pytest.raises(InvalidRequest):
        form(("completion_mode", "deferred"), ("completion_mode", "deferred"))


# --- the notification token


@covers("DTR-RD-19", "T-070", "T-071", "SEC-TOK-21")
@pytest.mark.parametrize(
    "token",
    [
        "a" * 22,
        "a" * 512,
        "6b0aa3a2-5f4c-4d3e-8d0a-1f0f6ad1c0de",
        "AZaz09-._~+/" * 2,
        "a" * 21 + "=",
        "a" * 20 + "==",
    ],
)
def test_a_token_that_can_stand_in_a_header_is_accepted(token: str) -> None:
    read_notification_token(form(client_notification_token=token))


@covers("DTR-RD-19", "T-070", "SEC-TOK-21")
@pytest.mark.parametrize(
    "token",
    [
        "a" * 10,
        "a" * 21,
        "a" * 513,
        "a" * 10_000,
        "a" * 22 + " ",
        "a" * 22 + '"',
        "a" * 22 + "\u00e9",
        "a" * 22 + "\uff21",
        "a" * 22 + ",",
        "=" * 22,
        "a" * 11 + "=" + "a" * 11,
    ],
)
def test_a_token_that_could_not_is_refused(token: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_notification_token(form(client_notification_token=token))
    assert token not in refused.value.description


@covers("DTR-RD-19", "T-070", "SEC-TOK-21")
@pytest.mark.parametrize("ending", ["\r\nX: y", "\n", "\r", "\x00", "\t"])
def test_a_line_end_never_comes_near_a_header(ending: str) -> None:
    with pytest.raises(InvalidRequest):
        read_notification_token(form(client_notification_token="a" * 22 + ending))
    unparsed = Form()
    unparsed["client_notification_token"] = "a" * 22 + ending
    with pytest.raises(InvalidRequest):
        read_notification_token(unparsed)


def test_no_token_is_no_fault() -> None:
    read_notification_token(form())


# --- is it still allowed


GRANTED = access("read write", payment(), account("read"))


@covers("OAUTH-DEFER-06", "T-145")
def test_what_the_client_may_still_have_still_holds() -> None:
    assert check_still_allowed(GRANTED, client(), TYPES)
    wider = client(scope="read write admin", details_types=("payment", "account", "folders"))
    assert check_still_allowed(GRANTED, wider, TYPES)


@covers("OAUTH-DEFER-06", "T-145", "DTR-RD-09")
@pytest.mark.parametrize(
    "now",
    [
        client(scope="read"),
        client(scope=""),
        client(resources=("https://b.example",)),
        client(resources=()),
        client(details_types=("payment",)),
    ],
)
def test_what_the_client_has_lost_meanwhile_does_not_hold(now: Client) -> None:
    assert not check_still_allowed(GRANTED, now, TYPES)


@covers("OAUTH-DEFER-06")
def test_a_type_that_the_server_has_lost_does_not_hold() -> None:
    assert not check_still_allowed(GRANTED, client(), DetailsTypes([ACCOUNT]))
    assert check_still_allowed(
        replace(GRANTED, details=(account("read"),)), client(), DetailsTypes([ACCOUNT])
    )
