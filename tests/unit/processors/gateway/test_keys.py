"""API keys: which files of the mounted Secret count, how a key is presented, and what a change of the Secret does."""

import json
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from messaging_api.access import PLAIN_SCOPES, Scope
from messaging_processors.gateway.keys import (
    ApiKeys,
    MalformedEntry,
    presented_key,
    read_client,
    read_clients,
    read_entries,
)
from messaging_processors.runtime.errors import Away


def loaded(folder: Path) -> ApiKeys:
    keys = ApiKeys(folder)
    keys.reload()
    return keys


def name_of(keys: ApiKeys, presented: str | None) -> str | None:
    client = keys.client_of(presented)
    return client.name if client else None


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
    assert read_entries(tmp_path) == {"shop": b"key-of-shop", "crm": b"key-of-crm"}


def test_an_empty_file_lets_nobody_in(tmp_path: Path) -> None:
    mount(tmp_path, shop="\n", crm="key-of-crm")
    assert loaded(tmp_path).client_of("") is None
    assert loaded(tmp_path).client_of(None) is None


@pytest.mark.parametrize("presented", ["key-of-sho", "key-of-shop ", "KEY-OF-SHOP", "ключ", "shop"])
def test_only_the_very_key_lets_in(tmp_path: Path, presented: str) -> None:
    mount(tmp_path, shop="key-of-shop")
    assert name_of(loaded(tmp_path), presented) is None
    assert name_of(loaded(tmp_path), "key-of-shop") == "shop"


def test_a_changed_secret_counts_from_the_next_look_on(tmp_path: Path) -> None:
    (tmp_path / "shop").write_text("old")
    keys = loaded(tmp_path)
    (tmp_path / "shop").write_text("new")
    keys.reload()
    assert (name_of(keys, "old"), name_of(keys, "new")) == (None, "shop")


def test_a_folder_that_cannot_be_read_is_reported_and_locks_nobody_out(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/shop").write_text("key")
    keys = loaded(tmp_path / "keys")
    (tmp_path / "keys").rename(tmp_path / "elsewhere")
    with pytest.raises(Away, match=r"api-keys: .*No such file"):
        keys.reload()
    assert name_of(keys, "key") == "shop"


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


def entry(**changes: object) -> str:
    return json.dumps({"key": "key-of-crm", "tenant": "crm", "scopes": ["send", "top-ups"]} | changes)


def test_a_json_entry_says_whose_accounts_and_what_may_be_done(tmp_path: Path) -> None:
    mount(tmp_path, **{"crm-payments": entry()})
    client = loaded(tmp_path).client_of("key-of-crm")
    assert client
    assert (client.name, client.tenant, client.scopes) == ("crm-payments", "crm", (Scope.SEND, Scope.TOP_UPS))
    assert "key-of-crm" not in repr(client)


def test_a_bare_key_is_its_own_tenants_with_the_plain_scopes() -> None:
    client = read_client("Shop", b"key-of-shop")
    assert (client.tenant, client.scopes) == ("shop", PLAIN_SCOPES)


@pytest.mark.parametrize(
    ("name", "content", "wrong"),
    [
        ("crm", entry(tenant="C R M"), "tenant"),
        ("crm", entry(scopes=["everything"]), "scopes"),
        ("crm", entry(scopes="send", tenant=""), "scopes, tenant"),
        ("crm", entry(key=""), "key"),
        ("crm", json.dumps({"key-of-crm": True}), "key, scopes, tenant, an unknown field"),
        ("crm", '{"key": "key-of-crm"', "not JSON"),
        ("-crm-", "key-of-crm", "the name is no tenant's; write JSON with key, tenant and scopes"),
        ("c" * 64, "key-of-crm", "the name is no tenant's; write JSON with key, tenant and scopes"),
    ],
)
def test_a_wrong_entry_is_told_without_what_stands_in_it(name: str, content: str, wrong: str) -> None:
    with pytest.raises(MalformedEntry) as refused:
        read_client(name, content.encode())
    assert str(refused.value) == wrong


def test_a_wrong_entry_locks_out_its_own_client_alone(tmp_path: Path) -> None:
    mount(tmp_path, shop="key-of-shop", crm=entry(tenant=""), other=entry(scopes=["all"], key="key-of-other"))
    keys = loaded(tmp_path)
    presented = ("key-of-shop", "key-of-crm", "key-of-other")
    assert [name_of(keys, key) for key in presented] == ["shop", None, None]
    with pytest.raises(
        Away, match=r"^api-key-entries: locked out until the Secret is right: crm: tenant; other: scope"
    ):
        keys.check()
    (tmp_path / "..2026/crm").write_text(entry())
    (tmp_path / "..2026/other").write_text("key-of-other")
    keys.reload()
    keys.check()
    assert [name_of(keys, key) for key in presented] == ["shop", "crm", "other"]


@pytest.mark.parametrize(
    ("entries", "wrong"),
    [
        ({"Shop": "k1", "shop": "k2"}, {"shop": "the same tenant as Shop; write JSON with key, tenant and scopes"}),
        ({"crm": entry(), "shop": "key-of-crm"}, {"shop": "the same key as crm"}),
        ({"crm": entry(), "till": entry(), "shop": "k"}, {"till": "the same key as crm"}),
        ({"Shop": entry(key="k1", tenant="shop"), "shop": "k2", "till": entry(tenant="shop")}, {}),
    ],
)
def test_of_two_entries_that_clash_the_first_stays(entries: dict[str, str], wrong: dict[str, str]) -> None:
    clients, malformed = read_clients({name: content.encode() for name, content in entries.items()})
    assert [client.name for client in clients] == [name for name in entries if name not in wrong]
    assert malformed == wrong


def test_wrong_entries_alone_let_nobody_in_and_are_told(tmp_path: Path) -> None:
    mount(tmp_path, crm="{")
    with pytest.raises(Away, match=r"no key in .*\(crm: not JSON\)"):
        loaded(tmp_path)
