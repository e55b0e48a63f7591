"""A processor → its ConfigMap, Deployment and Service as plain objects. Called by `topology`, which adds the owner."""

import hashlib
from typing import Any

from messaging_api.processor import API_KEYS_FOLDER, CONFIG_FILE, CONFIG_FOLDER, HEALTH_PORT, HTTP_PORT
from messaging_api.topology import GatewayService
from messaging_operator.desired.processors import Processor
from messaging_operator.state import (
    COMPONENT_LABEL,
    CONFIG_VOLUME,
    INSTANCE_LABEL,
    MANAGED_BY_LABEL,
    MANAGER,
    NAME_LABEL,
    Manifest,
)

CONTAINER = "processor"
"""The one of a pod's containers that is ours."""
_USER = 65532
_POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": _USER,
    "runAsGroup": _USER,
    "fsGroup": _USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_MEMORY_LIMIT = {"memory": "256Mi"}


def _resources(processor: Processor) -> Manifest:
    """On a busy node those that people wait for go first: what is in Kafka already can wait."""
    cpu = "100m" if processor.service else "20m"
    return {"requests": {"cpu": cpu, "memory": "96Mi"}, "limits": _MEMORY_LIMIT}


def manifests(processor: Processor, pull_policy: str) -> tuple[Manifest, ...]:
    """The configuration first: a Deployment's new pods must find it."""
    service = (_service(processor, processor.service),) if processor.service else ()
    return (_config_map(processor), *service, _deployment(processor, pull_policy))


def _labels(processor: Processor) -> dict[str, str]:
    """What selects the pods; a Deployment can never change its selector."""
    return {NAME_LABEL: processor.config.processor, INSTANCE_LABEL: processor.config.topology}


def _metadata(processor: Processor) -> dict[str, Any]:
    labels = {COMPONENT_LABEL: processor.config.kind, MANAGED_BY_LABEL: MANAGER}
    return {
        "name": processor.config.processor,
        "namespace": processor.config.namespace,
        "labels": _labels(processor) | labels,
    }


def _config_map(processor: Processor) -> Manifest:
    data = {CONFIG_FILE: processor.config.model_dump_json(indent=2)}
    metadata = _metadata(processor) | {"name": _config_name(processor)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _config_name(processor: Processor) -> str:
    """Another configuration has another name: a pod starts on the one that it was made for or not at all.

    Defaults are left out, so that an operator that only knows more fields restarts nobody.
    """
    text = processor.config.model_dump_json(exclude_defaults=True)
    return f"{processor.config.processor}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _service(processor: Processor, service: GatewayService) -> Manifest:
    port = {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}
    node_port = {"nodePort": service.node_port} if service.node_port else {}
    spec = {"type": service.type.value, "selector": _labels(processor), "ports": [port | node_port]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(processor), "spec": spec}


def _deployment(processor: Processor, pull_policy: str) -> Manifest:
    spec = {
        "replicas": processor.replicas,
        "minReadySeconds": 1,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "selector": {"matchLabels": _labels(processor)},
        "template": _template(processor, pull_policy),
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _metadata(processor), "spec": spec}


def _template(processor: Processor, pull_policy: str) -> dict[str, Any]:
    annotations = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(HEALTH_PORT),
        "prometheus.io/path": "/metrics",
    }
    return {
        "metadata": {"labels": _metadata(processor)["labels"], "annotations": annotations},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 30,
            "securityContext": _POD_SECURITY,
            "containers": [_container(processor, pull_policy)],
            "volumes": _volumes(processor),
        },
    }


def _container(processor: Processor, pull_policy: str) -> dict[str, Any]:
    http = [{"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"}] if processor.service else []
    return {
        "name": CONTAINER,
        "image": processor.image,
        "imagePullPolicy": pull_policy,
        "env": _environment(processor),
        "ports": [*http, {"name": "health", "containerPort": HEALTH_PORT, "protocol": "TCP"}],
        # Liveness never looks at dependencies: a database that is away must not restart the pods that wait for it.
        "startupProbe": _probe("/healthz", period=1, timeout=1, failures=120),
        "livenessProbe": _probe("/healthz", period=10, timeout=5, failures=3),
        "readinessProbe": _probe("/readyz", period=2, timeout=2, failures=2),
        "resources": _resources(processor),
        "securityContext": _CONTAINER_SECURITY,
        "volumeMounts": _mounts(processor),
    }


def _probe(path: str, period: int, timeout: int, failures: int) -> dict[str, Any]:
    timing = {"periodSeconds": period, "timeoutSeconds": timeout, "failureThreshold": failures}
    return timing | {"httpGet": {"path": path, "port": "health"}}


def _environment(processor: Processor) -> list[dict[str, Any]]:
    secrets = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret.name, "key": secret.key}}}
        for name, secret in processor.secrets.items()
    ]
    return [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}, *secrets]


def _mounts(processor: Processor) -> list[dict[str, Any]]:
    keys = [{"name": "api-keys", "mountPath": API_KEYS_FOLDER, "readOnly": True}] if processor.api_keys_secret else []
    config = {"name": CONFIG_VOLUME, "mountPath": CONFIG_FOLDER, "readOnly": True}
    return [config, {"name": "tmp", "mountPath": "/tmp"}, *keys]


def _volumes(processor: Processor) -> list[dict[str, Any]]:
    secret = processor.api_keys_secret
    keys = [{"name": "api-keys", "secret": {"secretName": secret}}] if secret else []
    config = {"name": CONFIG_VOLUME, "configMap": {"name": _config_name(processor)}}
    return [config, {"name": "tmp", "emptyDir": {}}, *keys]
