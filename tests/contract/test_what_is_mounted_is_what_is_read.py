"""Operator and processors never import each other. Here they meet: what one mounts is what the other reads."""

from pathlib import Path
from typing import Any

import pytest

from messaging_api.processor import CONFIG_FILE, CONFIG_FOLDER, HEALTH_PORT, HTTP_PORT, GatewayConfig
from messaging_processors.config import load_config, load_ports, load_secrets
from testkit.topologies import config_name, manifest_of, wanted

PROCESSORS = {
    "api-gateway": "gateway",
    "be-messaging": "messaging",
    "billing-marketing": "billing",
    "billing-authentication": "billing",
    "billing-agent-flow": "billing",
    "marketing": "sink",
    "authentication": "sink",
    "agent-flow": "sink",
}


def container_of(processor: str) -> dict[str, Any]:
    container: dict[str, Any] = pod_of(processor)["containers"][0]
    return container


def pod_of(processor: str) -> dict[str, Any]:
    pod: dict[str, Any] = manifest_of(wanted(), "Deployment", processor)["spec"]["template"]["spec"]
    return pod


def mounts_of(processor: str) -> dict[str, str]:
    """The volume behind each mount path."""
    return {mount["mountPath"]: mount["name"] for mount in container_of(processor)["volumeMounts"]}


@pytest.mark.parametrize(("processor", "kind"), PROCESSORS.items())
def test_the_mounted_configuration_is_read_by_its_processor(
    processor: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = tmp_path / CONFIG_FILE
    mounted.write_text(manifest_of(wanted(), "ConfigMap", config_name(wanted(), processor))["data"][CONFIG_FILE])
    monkeypatch.setenv("MESSAGING_CONFIG", str(mounted))
    config = load_config()
    assert (config.kind, config.processor) == (kind, processor)
    assert CONFIG_FOLDER in mounts_of(processor)


@pytest.mark.parametrize("processor", PROCESSORS)
def test_every_variable_that_is_set_is_one_that_is_read(processor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [variable["name"] for variable in container_of(processor).get("env", ())]
    for name in names:
        monkeypatch.setenv(name, f"value of {name}")
    secrets = load_secrets()
    assert {f"value of {name}" for name in names} <= {secrets.database_url, secrets.cache_url, secrets.pod_name}


@pytest.mark.parametrize("processor", PROCESSORS)
def test_the_probes_ask_where_the_processor_answers(processor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PORT", "HEALTH_PORT"):
        monkeypatch.delenv(name, raising=False)
    container = container_of(processor)
    numbers = {port["name"]: port["containerPort"] for port in container["ports"]}
    probes = [container[name]["httpGet"] for name in ("livenessProbe", "readinessProbe")]
    assert {numbers.get(probe["port"], probe["port"]) for probe in probes} == {load_ports().health} == {HEALTH_PORT}
    assert set(numbers.values()) <= {HTTP_PORT, HEALTH_PORT}


def test_the_gateway_finds_its_keys_and_be_messaging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = tmp_path / CONFIG_FILE
    mounted.write_text(manifest_of(wanted(), "ConfigMap", config_name(wanted(), "api-gateway"))["data"][CONFIG_FILE])
    monkeypatch.setenv("MESSAGING_CONFIG", str(mounted))
    config = load_config()
    assert isinstance(config, GatewayConfig)
    assert config.api_keys_folder in mounts_of("api-gateway")
    service = manifest_of(wanted(), "Service", "be-messaging")
    assert config.upstream.removeprefix("http://").split(":")[0] == service["metadata"]["name"]
