"""Where things are kept: a file or a database, named once and never shown with its password."""

from pathlib import Path

import pytest

from abeyance.cli.config import describe
from abeyance.server.settings import ConfigurationError
from abeyance.server.settings_shown import SET, list_settings
from abeyance.server.settings_sources import gather
from abeyance.server.stores import open_store
from tests.covers import covers
from tests.settings.files import read, refuse

URL = "postgresql://abeyance:hidden@db.example/abeyance"


def test_without_a_word_it_is_a_file_in_the_data_folder(tmp_path: Path) -> None:
    store = read(tmp_path, f'data = "{tmp_path}/data"').store
    assert (store.path, store.url) == (tmp_path / "data" / "abeyance.db", None)


@covers("SEC-STORE-08", "OAUTH-LOG-01")
def test_a_database_is_named_in_the_file_the_environment_or_a_file_of_its_own(
    tmp_path: Path,
) -> None:
    (tmp_path / "database.url").write_text(URL + "\n")
    for settings in (
        read(tmp_path, f'store.url = "{URL}"'),
        read(tmp_path, environ={"ABEYANCE_STORE__URL": URL}),
        read(tmp_path, 'store.url_file = "database.url"'),
        read(tmp_path, environ={"ABEYANCE_STORE__URL_FILE": str(tmp_path / "database.url")}),
    ):
        assert settings.store.url is not None
        assert settings.store.url.reveal() == URL
        assert "hidden" not in repr(settings.store)
        assert ("store", "PostgreSQL") in describe(settings)


@covers("SEC-STORE-08")
@pytest.mark.parametrize("url", [URL, "postgresql://db.example/abeyance?password=hidden&port=1"])
def test_its_password_is_not_shown(tmp_path: Path, url: str) -> None:
    file = tmp_path / "abeyance.toml"
    file.write_text(f'store.url = "{url}"')
    [shown] = [each for each in list_settings(gather(file, {}, {})) if each.key == "store.url"]
    assert shown.value == url.replace("hidden", SET)


@covers("SEC-STORE-08")
@pytest.mark.parametrize("query", ["statement_cache_size=hidden", "hidden", "x=1#hidden"])
async def test_a_url_that_cannot_be_used_stops_the_start_with_a_word_and_is_not_repeated(
    tmp_path: Path, query: str
) -> None:
    settings = read(
        tmp_path, f'data = "{tmp_path}"\nstore.url = "postgresql://db.example/x?{query}"'
    )
    with pytest.raises(ConfigurationError, match=r"store\.url") as refused:
        async with open_store(settings, None):
            pass
    assert "hidden" not in str(refused.value)


def test_two_places_are_one_too_many(tmp_path: Path) -> None:
    refused = refuse(tmp_path, f'[store]\nurl = "{URL}"\npath = "abeyance.db"')
    assert refused.key == "store.path and store.url"


@pytest.mark.parametrize("url", ["mysql://db.example/hidden", "db.example", ""])
def test_what_is_no_url_of_a_database_is_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    refused = refuse(tmp_path, f'store.url = "{url}"')
    assert refused.key == "store.url"
    assert "hidden" not in str(refused)
