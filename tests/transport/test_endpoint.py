"""What a form endpoint takes: method, type, coding, query, parameters (SEC-TOK-09 to -16)."""

from urllib.parse import quote

import pytest

from tests.covers import covers
from tests.transport.wire import FORM, POLL, Answer, Wire, check_fields, request


async def _refused(wire: Wire, data: bytes, status: int = 400) -> Answer:
    """A refusal that keeps the connection: the next poll on it is answered."""
    seen = len(wire.seen)
    peer = await wire.peer(data)
    answer = await peer.answer(to_head=data.startswith(b"HEAD"))
    assert answer.status == status, answer
    if not data.startswith(b"HEAD"):
        assert answer.json["error"] == "invalid_request"
        check_fields(answer)
    assert len(wire.seen) == seen
    if status != 413:
        await peer.send(request())
        assert (await peer.answer()).status == 200
    return answer


@covers("SEC-TOK-14", "T-208", "OAUTH-HTTP-02")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("override", [(), (b"X-HTTP-Method-Override: POST",)])
async def test_only_post_asks(wire: Wire, method: str, override: tuple[bytes, ...]) -> None:
    start = f"{method} /token HTTP/1.1".encode()
    answer = await _refused(wire, request(POLL, *override, start=start), 405)
    assert answer.headers["allow"] == "POST"
    assert "access-control-allow-origin" not in answer.headers


@covers("SEC-TOK-15", "T-209", "OAUTH-HTTP-04")
@pytest.mark.parametrize(
    "type_",
    [
        b"application/json",
        b"multipart/form-data; boundary=x",
        b"text/plain",
        b"",
        b"application/x-www-form-urlencoded; charset=utf-7",
        b"application/x-www-form-urlencoded; charset=iso-8859-1",
        b"application/x-www-form-urlencoded; charset=utf-8; charset=utf-7",
        b"application/x-www-form-urlencoded, application/x-www-form-urlencoded",
        b"application/x-www-form-urlencodedx",
        b"xapplication/x-www-form-urlencoded",
        b"application/x-www-form-urlencoded" + b" " * 8_000 + b"x",
        None,
    ],
)
async def test_another_type_is_no_form(wire: Wire, type_: bytes | None) -> None:
    await _refused(wire, request(type_=type_))


@covers("SEC-TOK-15")
@pytest.mark.parametrize("second", [FORM, b"application/json"])
async def test_two_types_are_no_type(wire: Wire, second: bytes) -> None:
    await _refused(wire, request(POLL, b"Content-Type: " + second))


@covers("SEC-TOK-15", "OAUTH-HTTP-04")
@pytest.mark.parametrize(
    "type_",
    [
        FORM,
        b"Application/X-WWW-Form-URLencoded",
        FORM + b"; charset=UTF-8",
        FORM + b";charset=utf-8",
        FORM + b' ; charset="utf-8" ',
    ],
)
async def test_a_form_is_known_in_each_of_its_spellings(wire: Wire, type_: bytes) -> None:
    assert (await wire.ask(request(type_=type_))).json["form"]["deferral_code"] == "D"


@covers("SEC-TOK-16", "OAUTH-HTTP-06")
@pytest.mark.parametrize("coding", [b"gzip", b"identity", b"br, gzip", b""])
async def test_an_encoded_body_is_refused(wire: Wire, coding: bytes) -> None:
    await _refused(wire, request(POLL, b"Content-Encoding: " + coding), 415)


@covers("SEC-TOK-09", "T-210", "OAUTH-PARAM-02")
@pytest.mark.parametrize(
    "body",
    [
        b"deferral_code=D&deferral_code=D",
        b"grant_type=x&grant_type=x",
        POLL + b"&" + POLL,
        b"client_id=c&client_id=c",
        b"x=1&x=2",
        b"x=1&x=",
        b"x=&x=",
        b"x=1&%78=1",
    ],
)
async def test_a_parameter_comes_once(wire: Wire, body: bytes) -> None:
    await _refused(wire, request(body))


@covers("SEC-TOK-10", "OAUTH-PARAM-06")
@pytest.mark.parametrize(
    "query",
    [
        b"grant_type=x",
        b"deferral_code=D",
        b"client_secret=s",
        b"client_assertion=s",
        b"token=t",
        b"access_token=t",
        b"x=1&%67rant_type=x",
        POLL,
        b"code=c",
        b"refresh_token=r",
    ],
)
async def test_no_parameter_is_read_from_the_query(wire: Wire, query: bytes) -> None:
    await _refused(wire, request(start=b"POST /token?" + query + b" HTTP/1.1"))
    await _refused(wire, request(b"", start=b"POST /token?" + query + b" HTTP/1.1"))


@covers("OAUTH-PARAM-06")
async def test_a_query_that_means_nothing_is_ignored(wire: Wire) -> None:
    answer = await wire.ask(request(start=b"POST /token?utm=1&q HTTP/1.1"))
    assert answer.json["form"] == {
        "grant_type": "urn:ietf:params:oauth:grant-type:deferred",
        "deferral_code": "D",
    }


@covers("SEC-TOK-11", "T-214", "OAUTH-PARAM-01")
@pytest.mark.parametrize(
    "value", ["D%00", "%ff", "%", "%zz", "D%0a", "%c0%af", "%ed%a0%80", "D%0d%0aX: y", "%C2%85"]
)
async def test_what_does_not_decode_is_refused(wire: Wire, value: str) -> None:
    await _refused(wire, request(b"deferral_code=" + value.encode()))


@covers("SEC-TOK-11", "SEC-TOK-12", "OAUTH-PARAM-05", "OAUTH-PARAM-07")
@pytest.mark.parametrize(
    "body",
    [b"deferral_code=D+", b"deferral_code=", b"Deferral_Code=D", b"deferral_code[]=D"],
)
async def test_nothing_else_becomes_the_code(wire: Wire, body: bytes) -> None:
    await wire.ask(request(body))
    assert wire.forms()[0].get("deferral_code") != "D"


@covers("SEC-TOK-13", "T-214")
async def test_parameters_are_counted_before_anybody_is_asked_who_they_are(wire: Wire) -> None:
    pairs = [b"p%d=%d" % (each, each) for each in range(64)]
    assert len((await wire.ask(request(b"&".join(pairs)))).json["form"]) == 64
    await _refused(wire, request(b"&".join([*pairs, b"one=more"])))
    many = b"&".join(b"p%d=" % each for each in range(10_000))
    await _refused(wire, request(many), 413 if len(many) > 65_536 else 400)


@covers("SEC-TOK-13")
async def test_a_semicolon_separates_nothing(wire: Wire) -> None:
    assert (await wire.ask(request(b"a=1;b=2"))).json == {"form": {"a": "1;b=2"}}
    await _refused(wire, request(b"a=1&&b=2"))


@covers("T-213", "OAUTH-PARAM-08")
@pytest.mark.parametrize("bait", ["<script>", "{{7*7}}", "${jndi:ldap://x}", "corp-secret"])
async def test_no_answer_repeats_what_was_sent(wire: Wire, bait: str) -> None:
    twice = f"{quote(bait)}=1&{quote(bait)}=2".encode()
    answer = await _refused(wire, request(twice, b"X-Request-Id: " + bait.encode() + b" "))
    assert bait.encode() not in answer.body
    assert bait not in "".join(answer.headers.values()).replace("corp-secret", "")


@covers("OAUTH-HTTP-09")
async def test_a_request_id_is_given_back_only_if_it_is_harmless(wire: Wire) -> None:
    kept = await wire.ask(request(POLL, b"X-Request-Id: abc-123"))
    assert kept.headers["x-request-id"] == "abc-123"
    for strange in (b"a b", b"a\xe9", b"x" * 65, b"a;b=c"):
        made = await wire.ask(request(POLL, b"X-Request-Id: " + strange))
        assert made.headers["x-request-id"].encode("latin-1") != strange


@covers("SEC-OPS-07", "OAUTH-HTTP-01", "SEC-TOK-29")
async def test_nobody_speaks_for_another_address_or_name(wire: Wire) -> None:
    forged = (
        b"X-Forwarded-For: 203.0.113.9",
        b"X-Forwarded-Host: evil.example",
        b"X-Forwarded-Proto: https",
        b"Forwarded: for=203.0.113.9",
        b"X-Real-IP: 203.0.113.9",
    )
    await wire.ask(request(POLL, *forged, host=b"evil.example"))
    assert wire.seen[0].address == "127.0.0.1"
    assert wire.seen[0].url == "https://as.example/token"
