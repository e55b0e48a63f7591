"""The bed's manifests fit together: node ports reach the host, images and addresses are filled in."""

from dataclasses import asdict, fields
from string import Template
from typing import Any

import yaml

from bed.cluster import MANIFESTS, free_ports
from bed.state import Ports
from messaging_api.access import ApiKey, Scope
from testkit.traffic import API_KEY, TENANT

PORTS = free_ports()


def services() -> list[dict[str, Any]]:
    template = Template((MANIFESTS / "services.yaml").read_text())
    return list(yaml.safe_load_all(template.substitute(asdict(PORTS), image="bed:1", database_url="url")))


def test_every_service_is_mapped_to_a_port_of_the_host() -> None:
    template = Template((MANIFESTS / "kind.yaml").read_text())
    node = yaml.safe_load(template.substitute(asdict(PORTS), audit="/a", policy="/p"))["nodes"][0]
    mapped = {entry["containerPort"]: entry["hostPort"] for entry in node["extraPortMappings"]}
    ports = [port for item in services() if item["kind"] == "Service" for port in item["spec"]["ports"]]
    gateway = {30080}  # its Service comes with the topology, not with the bed
    assert {port["nodePort"] for port in ports if "nodePort" in port} == set(mapped) - gateway
    assert sorted(mapped.values()) == sorted(asdict(PORTS).values())
    assert {entry["listenAddress"] for entry in node["extraPortMappings"]} == {"127.0.0.1"}


def test_the_demo_s_key_may_do_everything() -> None:
    secret = next(item for item in services() if item["metadata"]["name"] == "gateway-keys")
    key = ApiKey.model_validate_json(secret["stringData"]["demo"])
    assert (key.key, key.tenant, set(key.scopes)) == (API_KEY, TENANT, set(Scope))


def test_free_ports_are_all_different() -> None:
    assert len(set(asdict(PORTS).values())) == len(fields(Ports))


def test_kafka_tells_clients_outside_the_cluster_the_port_of_the_host() -> None:
    deployment = next(item for item in services() if item["kind"] == "Deployment" and "kafka" in str(item))
    environment = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "KAFKA_OUTSIDE", "value": f"127.0.0.1:{PORTS.kafka}"} in environment
