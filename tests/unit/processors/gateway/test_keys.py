"""API keys: which files of the mounted Secret count, how a key is presented, and what a change of the Secret does."""

from pathlib import Path

import pytest
from starlette.datastructures import Headers

from messaging_processors.gateway.keys import ApiKeys, presented_key, read_keys
from messaging_processors.runtime.errors import Away


def loaded(folder: Path) -> ApiKeys:
    keys = ApiKeys(folder)
    keys.reload()
    return keys


def mount(folder: Path, **secret: str) -> None:
    """As the kubelet does it: real files in a hidden folder, links to them beside it."""
    hidden = folder / "..2026"
    hidden.mkdir()
    (folder / "..data").symlink_to(hidden.name)
    for name, value in secret.items():
        (hidden / name).write_text(value)
        (folder / name).symlink_to(f"..data/{name}")


def test_a_mounted_secret_has_one_client_a_file(tmp_path: Path) -> None:
    mount(tmp_path, shop="key-of-shop\n", crm="key-of-crm")
    assert read_keys(tmp_path) == {"shop": b"key-of-shop", "crm": b"key-of-crm"}


def test_an_empty_file_lets_nobody_in(tmp_path: Path) -> None:
    mount(tmp_path, shop="\n", crm="key-of-crm")
    assert loaded(tmp_path).client_of("") is None
    assert loaded(tmp_path).client_of(None) is None


@pytest.mark.parametrize("presented", ["key-of-sho", "key-of-shop ", "KEY-OF-SHOP", "ключ", "shop"])
def test_only_the_very_key_lets_in(tmp_path: Path, presented: str) -> None:
    mount(tmp_path, shop="key-of-shop")
    assert loaded(tmp_path).client_of(presented) is None
    assert loaded(tmp_path).client_of("key-of-shop") == "shop"


def test_a_changed_secret_counts_from_the_next_look_on(tmp_path: Path) -> None:
    (tmp_path / "shop").write_text("old")
    keys = loaded(tmp_path)
    (tmp_path / "shop").write_text("new")
    keys.reload()
    assert (keys.client_of("old"), keys.client_of("new")) == (None, "shop")


def test_a_folder_that_cannot_be_read_is_reported_and_locks_nobody_out(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/shop").write_text("key")
    keys = loaded(tmp_path / "keys")
    (tmp_path / "keys").rename(tmp_path / "elsewhere")
    with pytest.raises(Away, match=r"api-keys: .*No such file"):
        keys.reload()
    assert keys.client_of("key") == "shop"


def test_no_key_at_all_is_reported_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Away, match=r"no key in .*: fill the Secret of gateway\.auth\.apiKeysFrom"):
        loaded(tmp_path)


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"X-API-Key": "k"}, "k"),
        ({"Authorization": "Bearer k"}, "k"),
        ({"authorization": "bearer  k "}, "k"),
        ({"Authorization": "Basic k"}, None),
        ({}, None),
    ],
)
def test_how_a_key_is_presented(headers: dict[str, str], key: str | None) -> None:
    assert presented_key(Headers(headers)) == key
