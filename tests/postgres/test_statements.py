"""Names become numbers, and a URL says where the database is without showing it."""

import pytest

from abeyance.store.postgres.address import parse_address
from abeyance.store.postgres.statement import bind
from tests.covers import covers


def test_a_name_that_stands_twice_is_one_parameter_of_its_type() -> None:
    text, arguments = bind(
        "SELECT :home, :n WHERE home = :home AND n > :n2", {"n": 1, "home": b"h", "n2": "2", "m": 3}
    )
    assert text == "SELECT $1::bytea, $2::bigint WHERE home = $1::bytea AND n > $3::text"
    assert arguments == [b"h", 1, "2"]


def test_what_is_absent_is_written_down_and_not_sent() -> None:
    text, arguments = bind("SELECT :a, :b WHERE :a IS NULL", {"a": None, "b": 7})
    assert (text, arguments) == ("SELECT NULL, $1::bigint WHERE NULL IS NULL", [7])


def test_casts_literals_quoted_names_and_comments_have_no_parameters() -> None:
    text = "SELECT ':a', 'it''s :b', \":c\", x::text, :d -- as :e\n  FROM t"
    assert bind(text, {"d": 1}) == (text.replace(":d", "$1::bigint"), [1])


def test_what_is_marked_for_this_database_is_a_comment_to_the_other() -> None:
    text = "SELECT x FROM t LIMIT :d /*! FOR UPDATE SKIP LOCKED */ /* not :e */"
    run = "SELECT x FROM t LIMIT $1::bigint  FOR UPDATE SKIP LOCKED  /* not :e */"
    assert bind(text, {"d": 1}) == (run, [1])


def test_a_value_that_is_missing_or_fits_no_column_is_a_bug() -> None:
    with pytest.raises(KeyError):
        bind("SELECT :home", {"n": 1})
    with pytest.raises(TypeError):
        bind("SELECT :home", {"home": 1.5})


@covers("OAUTH-LOG-06")
def test_an_address_does_not_show_its_password() -> None:
    address = parse_address("postgresql://ann:hunter2@db.example:5433/abeyance?sslmode=require")
    assert "hunter2" not in f"{address!r} {address}"
    assert not address.pooled


def test_our_parameter_is_not_sent_on() -> None:
    address = parse_address("postgresql://db.example/abeyance?statement_cache_size=0&sslmode=allow")
    assert address.pooled
    assert address.url.reveal() == "postgresql://db.example/abeyance?sslmode=allow"


@pytest.mark.parametrize(
    "text",
    [
        "mysql://db.example/hunter2",
        "/var/lib/hunter2",
        "postgresql://db.example/x?statement_cache_size=hunter2",
        "postgresql://db.example/x?statement_cache_size=1001",
        "postgresql://db.example/x?statement_cache_size=-1",
        "postgresql://db.example/x?hunter2",
        "postgresql://ann:hunter2#@db.example/x",
        "postgresql://[hunter2/x",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_address(text)
    assert "hunter2" not in str(caught.value)
