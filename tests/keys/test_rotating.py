"""Laying keys down and taking them out: what lies in the folder afterwards."""

import stat
from datetime import timedelta
from pathlib import Path

import pytest

from abeyance.keys.folder import load_or_create, read_schedule
from abeyance.keys.making import Alg
from abeyance.keys.private_files import UnsafeKeys
from abeyance.keys.rotating import (
    AT_LEAST_AHEAD,
    KeysStay,
    UnknownKey,
    lay_down,
    take_out,
)
from abeyance.keys.schedule import KeyState
from abeyance.server.backchannel.documents import MAX_AGE
from tests.covers import covers
from tests.keys.files import NOW, lay

HOUR = timedelta(hours=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keys = tmp_path / "keys"
    load_or_create(keys, now=NOW)
    return keys


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def first(folder: Path) -> str:
    return read_schedule(folder).keys[0].kid


@covers("OAUTH-META-08")
def test_a_key_lies_there_five_times_as_long_as_clients_keep_the_key_set() -> None:
    assert timedelta(seconds=MAX_AGE) * 5 <= AT_LEAST_AHEAD


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "PS256"])
@covers("OAUTH-OIDC-16", "OAUTH-SEC-06")
def test_what_is_laid_down_is_private_and_signs_from_its_instant_on(folder: Path, alg: Alg) -> None:
    before = content(folder)
    key = lay_down(folder, at=NOW + HOUR, alg=alg, now=NOW)
    assert key.path.name == "signing-20260304T130000Z.pem"
    assert stat.S_IMODE(key.path.stat().st_mode) == 0o600
    assert (key.at, key.pair.alg) == (NOW + HOUR, alg)
    schedule = read_schedule(folder)
    assert [each.kid for each in schedule.keys] == [first(folder), key.kid]
    assert schedule.state(key, NOW) is KeyState.NEXT
    assert content(folder).items() - before.items() == {(key.path.name, key.path.read_bytes())}


def test_an_instant_within_a_second_is_rounded_up_and_now_down(folder: Path) -> None:
    part = timedelta(milliseconds=400)
    ahead = lay_down(folder, at=NOW + HOUR + part, alg="ES256", now=NOW)
    assert ahead.at == NOW + HOUR + timedelta(seconds=1)
    at_once = lay_down(folder, at=NOW + 2 * part * 2, alg="ES256", now=NOW + 2 * part * 2)
    assert at_once.at == NOW + timedelta(seconds=1)


def test_a_second_next_key_is_refused_and_one_at_once_is_not(folder: Path) -> None:
    waits = lay_down(folder, at=NOW + HOUR, alg="ES256", now=NOW)
    before = content(folder)
    with pytest.raises(KeysStay, match=waits.kid):
        lay_down(folder, at=NOW + 2 * HOUR, alg="ES256", now=NOW)
    assert content(folder) == before
    later = NOW + timedelta(minutes=1)
    at_once = lay_down(folder, at=later, alg="ES256", now=later)
    schedule = read_schedule(folder)
    assert schedule.standing(later).signing == at_once
    assert schedule.standing(NOW + HOUR).signing == waits


def test_two_keys_never_share_a_file(folder: Path) -> None:
    before = content(folder)
    with pytest.raises(UnsafeKeys, match="is there already"):
        lay_down(folder, at=NOW, alg="ES256", now=NOW)
    assert content(folder) == before


def test_without_any_other_the_key_signs_at_once(folder: Path) -> None:
    (folder / "signing-20260304T120000Z.pem").unlink()
    key = lay_down(folder, at=NOW + HOUR, alg="EdDSA", now=NOW)
    assert key.at == NOW
    assert load_or_create(folder, now=NOW).schedule.keys == (key,)


def test_nothing_is_made_where_no_server_has_been(tmp_path: Path) -> None:
    with pytest.raises(UnsafeKeys, match="cannot be looked at"):
        lay_down(tmp_path / "keys", at=NOW, alg="ES256", now=NOW)
    assert not (tmp_path / "keys").exists()


@covers("SEC-STORE-08")
def test_nothing_is_laid_into_a_folder_that_others_can_enter(folder: Path) -> None:
    folder.chmod(0o755)
    before = content(folder)
    with pytest.raises(UnsafeKeys, match="can be used by others"):
        lay_down(folder, at=NOW + HOUR, alg="ES256", now=NOW)
    with pytest.raises(UnsafeKeys, match="can be used by others"):
        take_out(folder, first(folder), now=NOW)
    assert content(folder) == before


def test_a_key_that_is_taken_out_keeps_its_file_and_is_in_no_schedule(folder: Path) -> None:
    key = read_schedule(folder).keys[0]
    pem = key.path.read_bytes()
    second = lay(folder, "20260304T121500Z")
    later = NOW + timedelta(minutes=30)
    out = take_out(folder, key.kid, now=later)
    assert (out.key, out.state, out.signing.kid) == (key, KeyState.RETIRING, second)
    assert out.path.name.startswith("retired-20260304T120000Z-")
    assert out.path.read_bytes() == pem
    assert not key.path.exists()
    assert [each.kid for each in read_schedule(folder).keys] == [second]


def test_taking_out_the_key_that_signs_brings_the_next_one_forward(folder: Path) -> None:
    second = lay(folder, "20260304T130000Z")
    out = take_out(folder, first(folder), now=NOW)
    assert (out.state, out.signing.kid, out.signing_early) == (KeyState.SIGNING, second, True)
    assert read_schedule(folder).standing(NOW).signing.kid == second


def test_taking_out_the_key_that_signs_brings_back_the_one_that_retires(folder: Path) -> None:
    before = first(folder)
    second = lay(folder, "20260304T130000Z")
    later = NOW + HOUR + timedelta(minutes=1)
    out = take_out(folder, second, now=later)
    assert (out.signing.kid, out.signing_early) == (before, False)
    assert read_schedule(folder).standing(later).signing.kid == before


def test_the_only_key_stays(folder: Path) -> None:
    before = content(folder)
    with pytest.raises(KeysStay, match="only key in use"):
        take_out(folder, first(folder), now=NOW)
    assert content(folder) == before


def test_no_key_signs_again_that_nobody_has_in_their_key_set(folder: Path) -> None:
    second = lay(folder, "20260304T130000Z")
    lay(folder, "20260310T000000Z")
    before = content(folder)
    with pytest.raises(KeysStay, match="only key in use"):
        take_out(folder, second, now=NOW + timedelta(days=1))
    assert content(folder) == before


def test_an_unknown_key_is_told_with_those_that_are_there(folder: Path) -> None:
    before = content(folder)
    with pytest.raises(UnknownKey) as unknown:
        take_out(folder, "x", now=NOW)
    assert unknown.value.known == (first(folder),)
    assert content(folder) == before


@covers("OAUTH-OIDC-16", "OAUTH-OIDC-03")
def test_keys_for_id_tokens_follow_each_other_and_leave_the_others_alone(folder: Path) -> None:
    load_or_create(folder, now=NOW, id_tokens=("ES256", "EdDSA"))
    load_or_create(folder, now=NOW + HOUR, id_tokens=("ES256", "EdDSA"))
    names = {path.name for path in folder.glob("*.pem")}
    assert names == {"signing-20260304T120000Z.pem", "id-token-EdDSA-20260304T120000Z.pem"}
    main = first_of_main(folder)
    lay_down(folder, at=NOW + HOUR, alg="EdDSA", now=NOW, id_tokens=True)
    for at, same in ((NOW, True), (NOW + HOUR, False)):
        standing = read_schedule(folder).standing(at)
        assert standing.signing.kid == standing.for_id_tokens["ES256"].kid == main
        old = standing.for_id_tokens["EdDSA"].kid == oldest_of(folder, "EdDSA")
        assert old is same
        assert len(standing.published) == 3


@covers("OAUTH-OIDC-16")
def test_the_only_key_of_a_line_stays_however_many_others_there_are(folder: Path) -> None:
    load_or_create(folder, now=NOW, id_tokens=("EdDSA",))
    before = content(folder)
    for kid in (first_of_main(folder), oldest_of(folder, "EdDSA")):
        with pytest.raises(KeysStay):
            take_out(folder, kid, now=NOW)
    assert content(folder) == before
    wrong = folder / "id-token-RS256-20260304T120000Z.pem"
    (folder / "id-token-EdDSA-20260304T120000Z.pem").rename(wrong)
    with pytest.raises(UnsafeKeys, match="EdDSA"):
        read_schedule(folder)


def first_of_main(folder: Path) -> str:
    return oldest_of(folder, "")


def oldest_of(folder: Path, line: str) -> str:
    return next(each.kid for each in read_schedule(folder).keys if each.line == line)
