"""The folder of keys: made once, refused when others could have read it."""

import json
import os
import stat
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from abeyance.keys.folder import Keys, load_or_create
from abeyance.keys.making import Alg, new_private_pem, parse_signing_pem
from abeyance.keys.private_files import UnsafeKeys
from abeyance.keys.schedule import Standing
from abeyance.proofs.jwk import render_jwks
from abeyance.wire.base64url import parse_base64url
from tests.covers import covers
from tests.keys.files import NOW, lay, lay_bytes

ROOT = "root.key"


def load(folder: Path) -> Keys:
    return load_or_create(folder, now=NOW)


def standing(folder: Path, at: datetime = NOW) -> Standing:
    return load(folder).schedule.standing(at)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keys = tmp_path / "data" / "keys"
    load(keys)
    return keys


def test_what_is_made_is_loaded_again(folder: Path) -> None:
    first, second = load(folder), load(folder)
    assert first == second
    assert first.roots == second.roots
    assert sorted(each.name for each in folder.iterdir()) == [
        ROOT,
        "signing-20260304T120000Z.pem",
    ]


def test_two_servers_never_have_the_same_keys(tmp_path: Path) -> None:
    one, other = load(tmp_path / "one"), load(tmp_path / "other")
    assert one.schedule.keys[0].kid != other.schedule.keys[0].kid
    assert one.roots.all[0].keys != other.roots.all[0].keys


@covers("OAUTH-SEC-06", "SEC-STORE-08")
def test_what_is_made_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        load(tmp_path / "data" / "keys")
    finally:
        os.umask(before)
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in [tmp_path / "data", *(tmp_path / "data").rglob("*")]
    }
    assert modes.pop("data") == 0o700
    assert modes.pop("keys") == 0o700
    assert set(modes.values()) == {0o600}
    assert len(modes) == 2


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o601])
@pytest.mark.parametrize("name", [ROOT, "signing-20260304T120000Z.pem"])
@covers("OAUTH-SEC-06", "SEC-STORE-08")
def test_a_file_that_others_can_use_stops_the_start(folder: Path, name: str, mode: int) -> None:
    (folder / name).chmod(mode)
    with pytest.raises(UnsafeKeys) as refused:
        load(folder)
    assert refused.value.path == folder / name
    assert f"{mode:04o}" in refused.value.problem
    assert "chmod 600" in refused.value.fix


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
@covers("OAUTH-SEC-06", "SEC-STORE-08")
def test_a_folder_that_others_can_enter_stops_the_start(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    with pytest.raises(UnsafeKeys) as refused:
        load(folder)
    assert refused.value.path == folder
    assert "chmod 700" in refused.value.fix


@pytest.mark.parametrize("name", [ROOT, "signing-20260304T120000Z.pem"])
@covers("SEC-STORE-08")
def test_a_link_in_the_folder_stops_the_start(folder: Path, name: str, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    (folder / name).rename(moved)
    (folder / name).symlink_to(moved)
    with pytest.raises(UnsafeKeys, match="is a link"):
        load(folder)


@covers("SEC-STORE-08")
def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    (folder / ROOT).symlink_to(tmp_path / "target")
    with pytest.raises(UnsafeKeys):
        load(folder)
    assert not (tmp_path / "target").exists()


@covers("SEC-STORE-08")
def test_a_linked_folder_stops_the_start(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(folder)
    with pytest.raises(UnsafeKeys, match="is a link"):
        load(tmp_path / "linked")


def test_what_is_no_plain_file_stops_the_start(folder: Path) -> None:
    (folder / ROOT).unlink()
    os.mkfifo(folder / ROOT, 0o600)
    with pytest.raises(UnsafeKeys, match="plain file"):
        load(folder)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 43, b"A" * 44])
def test_a_spoiled_root_stops_the_start_and_stays(folder: Path, content: bytes) -> None:
    (folder / ROOT).write_bytes(content)
    with pytest.raises(UnsafeKeys, match="root secret"):
        load(folder)
    assert (folder / ROOT).read_bytes() == content


@pytest.mark.parametrize(
    "content", [b"", b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----"]
)
def test_a_spoiled_signing_key_stops_the_start(folder: Path, content: bytes) -> None:
    (folder / "signing-20260304T120000Z.pem").write_bytes(content)
    with pytest.raises(UnsafeKeys, match="no signing key"):
        load(folder)


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnsafeKeys) as refused:
        load(tmp_path / "file" / "keys")
    assert "data folder" in refused.value.fix


@covers("OAUTH-META-07")
def test_the_youngest_key_signs_and_the_one_before_is_published_for_a_while(folder: Path) -> None:
    first = standing(folder).signing.kid
    second = lay(folder, "20260304T130000Z")
    keys = standing(folder, NOW + timedelta(hours=2))
    assert keys.signing.kid == second
    assert [key.jkt for key in keys.published.keys] == [second, first]


@covers("OAUTH-META-07")
def test_the_next_key_is_published_before_it_signs(folder: Path) -> None:
    first = standing(folder).signing.kid
    second = lay(folder, "20260304T130000Z")
    keys = standing(folder)
    assert keys.signing.kid == first
    assert {key.jkt for key in keys.published.keys} == {first, second}


def test_the_same_key_in_two_files_counts_once(folder: Path) -> None:
    content = (folder / "signing-20260304T120000Z.pem").read_bytes()
    lay_bytes(folder, "20260304T130000Z", content)
    [only] = load(folder).schedule.keys
    assert only.at == NOW


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "RS256", "PS256"])
@covers("OAUTH-META-06")
def test_a_key_of_each_algorithm_is_published_under_it(folder: Path, alg: Alg) -> None:
    kid = lay(folder, "20260304T130000Z", alg=alg)
    keys = standing(folder, NOW + timedelta(hours=2))
    assert (keys.signing.kid, keys.signing.pair.alg) == (kid, alg)
    shown = {str(each["kid"]): each for each in published(keys)}
    assert (shown[kid]["use"], shown[kid]["alg"]) == ("sig", alg)
    assert not {"d", "p", "q"} & shown[kid].keys()


def test_an_rsa_key_that_names_no_algorithm_is_for_the_one_that_everybody_knows() -> None:
    line, _, bare = new_private_pem("PS256").partition(b"\n")
    assert line == b"alg: PS256"
    assert parse_signing_pem(bare).alg == "RS256"


def test_a_key_that_names_an_algorithm_that_it_cannot_do_stops_the_start(folder: Path) -> None:
    lay_bytes(folder, "20260304T130000Z", b"alg: RS256\n" + new_private_pem("ES256"))
    with pytest.raises(UnsafeKeys, match="algorithm"):
        load(folder)


def test_an_impossible_instant_stops_the_start(folder: Path) -> None:
    lay(folder, "20261399T000000Z")
    with pytest.raises(UnsafeKeys, match="instant"):
        load(folder)


@covers("OAUTH-META-06")
def test_nothing_private_is_published(folder: Path) -> None:
    lay(folder, "20260304T130000Z")
    shown = published(standing(folder))
    for jwk in shown:
        assert set(jwk) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert (jwk["use"], jwk["alg"]) == ("sig", "ES256")
    assert len({jwk["kid"] for jwk in shown}) == 2


@covers("OAUTH-SEC-07")
def test_each_purpose_has_a_key_of_its_own(folder: Path) -> None:
    keys = load(folder).roots.all[0].keys
    found = {keys.nonce_key, keys.log_key, keys.interaction_key, keys.seal_key}
    root = parse_base64url((folder / ROOT).read_text().strip())
    assert len(found | {root}) == 5
    assert {len(each) for each in found} == {32}


@covers("OAUTH-SEC-06")
def test_no_secret_shows_in_a_printout(folder: Path) -> None:
    keys = load(folder)
    shown = repr(keys)
    derived = keys.roots.all[0].keys
    for secret in (
        derived.nonce_key, derived.log_key, derived.interaction_key, derived.seal_key,
    ):  # fmt: skip
        assert repr(secret) not in shown
    assert "PRIVATE" not in shown


def test_nothing_is_left_behind_when_a_key_is_there_already(folder: Path) -> None:
    load(folder)
    assert not [each for each in folder.iterdir() if each.name.startswith(".")]


def published(keys: Standing) -> list[dict[str, object]]:
    """The document, as it goes out."""
    found: list[dict[str, object]] = json.loads(json.dumps(render_jwks(keys.published)))["keys"]
    return found
