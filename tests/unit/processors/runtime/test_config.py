"""What a process is told from outside: a mistake ends it at its start, by name."""

from pathlib import Path

import pytest

from messaging_processors.config import ConfigError, Secrets, load_config, load_ports, load_secrets, require_stores
from testkit.samples import a_billing_config, a_sink_config


def test_a_mounted_configuration_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.json"
    path.write_text(a_billing_config().model_dump_json())
    monkeypatch.setenv("MESSAGING_CONFIG", str(path))
    assert load_config() == a_billing_config()


def test_a_missing_or_wrong_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.json"
    monkeypatch.setenv("MESSAGING_CONFIG", str(path))
    with pytest.raises(ConfigError, match=f"{path}: No such file"):
        load_config()
    path.write_text('{"kind": "billing"}')
    with pytest.raises(ConfigError, match=r"billing\.topology"):
        load_config()


def test_ports_are_the_contract_s_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HTTP_PORT", raising=False)
    monkeypatch.setenv("HEALTH_PORT", "9191")
    assert (load_ports().http, load_ports().health) == (8080, 9191)
    monkeypatch.setenv("HEALTH_PORT", "tcp://10.0.0.1:80")
    with pytest.raises(ConfigError, match="HEALTH_PORT"):
        load_ports()


def test_secrets_are_read_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:secret@db/messaging")
    monkeypatch.setenv("POD_NAME", "pod-1")
    secrets = load_secrets()
    assert (secrets.database_url, secrets.pod_name) == ("postgresql://user:secret@db/messaging", "pod-1")
    assert "secret@" not in repr(secrets)


def test_a_processor_without_its_stores_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"CACHE_URL: not set, and marketing cannot work without"):
        require_stores(a_sink_config(), Secrets(database_url="postgresql://db/messaging"))
    with pytest.raises(ConfigError, match=r"^DATABASE_URL: not set, and billing-marketing cannot work without"):
        require_stores(a_billing_config(), Secrets(cache_url="redis://cache"))
    require_stores(a_billing_config(), Secrets(database_url="postgresql://db/messaging"))
