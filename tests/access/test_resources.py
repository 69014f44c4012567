"""Resources are absolute URIs, compared exactly but for the empty path (RFC 8707)."""

import pytest

from abeyance.access.resources import (
    MAX_LENGTH,
    MAX_RESOURCES,
    find_registered,
    parse_resources,
)
from abeyance.wire.errors import InvalidTarget
from tests.covers import covers


@covers("OAUTH-RES-01")
@pytest.mark.parametrize(
    "uri",
    [
        "https://api.example",
        "https://api.example/",
        "https://api.example:8443/a/b%20c?d=e",
        "https://[2001:db8::1]/x",
        "urn:example:api",
        "app+x.1:thing",
    ],
)
def test_an_absolute_uri_is_a_resource(uri: str) -> None:
    assert parse_resources((uri,)) == {uri}


@covers("OAUTH-RES-01")
@pytest.mark.parametrize(
    "uri",
    [
        "api.example",
        "/path",
        "//api.example",
        "https:",
        "1https://api.example",
        "https://api.example/#",
        "https://api.example/#frag",
        "https://api.example/a b",
        "https://api.example/\u00e4",
        "https://api.example/\x00",
        "https://api.example/<x>",
        'https://api.example/"',
        "https://api.example\\evil",
        " https://api.example",
        "https://api.example\n",
    ],
)
def test_anything_else_is_no_resource(uri: str) -> None:
    with pytest.raises(InvalidTarget):
        parse_resources((uri,))


def test_one_bad_resource_among_good_ones_refuses_all() -> None:
    with pytest.raises(InvalidTarget):
        parse_resources(("https://a.example", "nowhere"))


def test_resources_are_bounded_in_number_and_length() -> None:
    many = tuple(f"https://{n}.example" for n in range(MAX_RESOURCES + 1))
    long = "https://a.example/" + "x" * MAX_LENGTH
    assert len(parse_resources(many[1:])) == MAX_RESOURCES
    assert parse_resources((long[:MAX_LENGTH],))
    for values in (many, (long,)):
        with pytest.raises(InvalidTarget):
            parse_resources(values)


@covers("OAUTH-RES-06")
@pytest.mark.parametrize(
    ("asked", "registered"),
    [
        ("https://api.example", "https://api.example/"),
        ("https://api.example/", "https://api.example"),
        ("https://api.example:8443/", "https://api.example:8443"),
        ("https://api.example/v1", "https://api.example/v1"),
    ],
)
def test_an_empty_path_equals_the_root_and_the_registered_spelling_is_told(
    asked: str, registered: str
) -> None:
    assert find_registered(asked, frozenset({registered})) == registered


@covers("OAUTH-RES-06")
@pytest.mark.parametrize(
    ("asked", "registered"),
    [
        ("https://api.example/v1/", "https://api.example/v1"),
        ("https://api.example/v1", "https://api.example/v1/"),
        ("https://api.example//", "https://api.example/"),
        ("https://api.example/", "https://api.example//"),
        ("https://api.example?x", "https://api.example?x/"),
        ("https://api.example?x/", "https://api.example?x"),
        ("https://API.example", "https://api.example"),
        ("HTTPS://api.example", "https://api.example"),
        ("https://api.example:443", "https://api.example"),
        ("https://api.example/%76", "https://api.example/v"),
        ("https://api.example/a/../b", "https://api.example/b"),
        ("https://api.example.", "https://api.example"),
        ("urn:example:api/", "urn:example:api"),
        ("https://api.example.evil", "https://api.example"),
    ],
)
def test_no_other_two_spellings_are_the_same_resource(asked: str, registered: str) -> None:
    assert find_registered(asked, frozenset({registered})) is None


@covers("OAUTH-RES-06")
def test_the_exact_spelling_wins_where_both_are_registered() -> None:
    both = frozenset({"https://api.example", "https://api.example/"})
    assert {find_registered(each, both) for each in both} == both
