"""Today's code answers what was recorded as it did then, and the file has no secret in it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.answer import Answer
from tests.exchange.house import open_house
from tests.postgres.databases import Database
from tests.replay.exchanges import Seen, read_exchanges, write_exchanges
from tests.replay.recording import HOUSE, everything, recording
from tests.replay.references import SECRETS
from tests.replay.replaying import RECORDED, compare, replay
from tests.served import keeping_in

# Upper and lower case and figures in one long word: nobody writes that by hand.
_SECRET = re.compile(r"(?=[\w-]*[a-z])(?=[\w-]*[A-Z])(?=[\w-]*\d)[\w-]{20,}")
_ANSWER = Answer(
    400, (("content-type", "application/json"), ("cache-control", "no-store")),
    b'{"error": "slow_down", "interval": 5}',
)  # fmt: skip


async def test_what_was_recorded_is_answered_as_it_was(tmp_path: Path) -> None:
    """Is a change meant? Say so in the changelog, and record anew: `python -m tests.replay`."""
    async with open_house(tmp_path, config=HOUSE) as served:
        assert await replay(served, read_exchanges(RECORDED)) == []


async def test_what_was_recorded_over_one_store_is_answered_so_over_another(
    database: Database, tmp_path: Path
) -> None:
    with keeping_in(database.url):
        async with open_house(tmp_path, config=HOUSE) as served:
            assert await replay(served, read_exchanges(RECORDED)) == []


async def test_a_recording_has_no_secret_in_it_and_can_be_replayed(tmp_path: Path) -> None:
    file = tmp_path / "recorded.jsonl"
    async with recording(tmp_path / "first") as served:
        await everything(served)
        write_exchanges(file, served.exchanges)
        brought = {each for each in served.known.places if _SECRET.fullmatch(each)}
    text = file.read_text()
    assert len(brought) > 100
    assert [each for each in (*brought, *SECRETS.values()) if each in text] == []
    assert _SECRET.findall(text) == []
    async with open_house(tmp_path / "second", config=HOUSE) as again:
        assert await replay(again, read_exchanges(file)) == []


def test_the_file_in_the_repository_has_no_secret_in_it() -> None:
    text = RECORDED.read_text()
    assert _SECRET.findall(text) == []
    assert not any(each in text for each in SECRETS.values())


@pytest.mark.parametrize(
    ("what", "other"),
    [
        ("status", replace(_ANSWER, status=401)),
        ("error", replace(_ANSWER, body=b'{"error": "invalid_grant", "interval": 5}')),
        ("shape", replace(_ANSWER, body=b'{"error": "slow_down", "interval": "5"}')),
        ("shape", replace(_ANSWER, body=b'{"error": "slow_down"}')),
        ("headers", replace(_ANSWER, headers=_ANSWER.headers[:1])),
    ],
)
def test_what_has_changed_is_told(what: str, other: Answer) -> None:
    was = Seen.of(_ANSWER)
    assert compare(0, "", was, replace(_ANSWER, body=_ANSWER.body.replace(b"5", b"6"))) == []
    assert [each.what for each in compare(0, "", was, other)] == [what]


async def test_what_an_answer_does_not_bring_any_more_ends_the_replay(tmp_path: Path) -> None:
    exchanges = list(read_exchanges(RECORDED))
    needs = next(at for at, each in enumerate(exchanges) if '"of"' in repr(each).replace("'", '"'))
    async with open_house(tmp_path, config=HOUSE) as served:
        [found] = await replay(served, [exchanges[0], *exchanges[needs:]])
    assert (found.number, found.what) == (1, "what it needs")
