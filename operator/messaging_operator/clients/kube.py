"""The operator's door to the API server: one topology at a time, its objects, its pods, its status, its events.

`reconcile` and `apply` use it. Objects are plain JSON and every kind goes the same way, so that no typed model drops
a field that it does not know. Raises `ClusterError`; every call has a deadline.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from kubernetes import client, config
from urllib3.exceptions import HTTPError
from yaml import YAMLError

from messaging_api.base import API_VERSION, GROUP, KIND, PLURAL, VERSION
from messaging_api.status import TopologyStatus
from messaging_operator.errors import ClusterError
from messaging_operator.state import (
    INSTANCE_LABEL,
    MANAGED_BY_LABEL,
    MANAGER,
    Manifest,
    ObjectKey,
    Owner,
    TopologyKey,
    object_key,
)

_TIMEOUT_SECONDS = (3, 10)
_PATHS = {
    "ConfigMap": "/api/v1/namespaces/{namespace}/configmaps",
    "Service": "/api/v1/namespaces/{namespace}/services",
    "Deployment": "/apis/apps/v1/namespaces/{namespace}/deployments",
    "Pod": "/api/v1/namespaces/{namespace}/pods",
    "Event": "/api/v1/namespaces/{namespace}/events",
    KIND: f"/apis/{GROUP}/{VERSION}/namespaces/{{namespace}}/{PLURAL}",
}
_CHILDREN = ("ConfigMap", "Service", "Deployment")
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"


class Cluster:
    """The API server."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api

    @classmethod
    def connect(cls) -> "Cluster":
        """From within a pod, or by the kubeconfig as kubectl does."""
        try:
            config.load_incluster_config()  # type: ignore[no-untyped-call]
        except config.ConfigException:
            _load_kubeconfig()
        return cls(client.ApiClient())

    def topology(self, key: TopologyKey) -> Manifest | None:
        """The resource as it is now, not as some watch has seen it."""
        return self._get(key.namespace, ObjectKey(KIND, key.name))

    def children(self, key: TopologyKey) -> dict[ObjectKey, Manifest]:
        """What bears the topology's labels, whoever owns it."""
        found = (child for kind in _CHILDREN for child in self._list(key, kind))
        return {object_key(child): child for child in found}

    def child(self, namespace: str, key: ObjectKey) -> Manifest | None:
        """The object of that name, labelled or not."""
        return self._get(namespace, key)

    def pods(self, key: TopologyKey) -> list[Manifest]:
        """The topology's pods."""
        return list(self._list(key, "Pod"))

    def apply(self, namespace: str, manifest: Manifest) -> None:
        """Server-side: what we declare becomes so, what we declared before and no longer do goes, the rest stays."""
        path = self._path(namespace, object_key(manifest))
        self._request("PATCH", path, manifest, _APPLY, {"fieldManager": MANAGER, "force": "true"})

    def delete(self, namespace: str, key: ObjectKey, uid: str) -> None:
        """That very object: a namesake made in the meantime stays."""
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            self._request("DELETE", self._path(namespace, key), options)
        except ClusterError as error:
            if error.status != 404:
                raise

    def write_status(self, owner: Owner, status: TopologyStatus) -> None:
        """The uid keeps the status of a deleted resource off its successor."""
        path = self._path(owner.key.namespace, ObjectKey(KIND, owner.key.name)) + "/status"
        body = {"metadata": {"uid": owner.uid}, "status": status.model_dump(mode="json")}
        self._request("PATCH", path, body, _MERGE, {"fieldManager": MANAGER})

    def write_event(self, owner: Owner, kind: str, reason: str, message: str, now: str) -> None:
        """What `kubectl describe` shows below the resource; `kind` is Normal or Warning."""
        subject = {"apiVersion": API_VERSION, "kind": KIND, "uid": owner.uid}
        event = {
            "metadata": {"generateName": f"{owner.key.name}.", "namespace": owner.key.namespace},
            "involvedObject": subject | {"name": owner.key.name, "namespace": owner.key.namespace},
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": MANAGER},
            "reportingComponent": MANAGER,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        self._request("POST", _PATHS["Event"].format(namespace=owner.key.namespace), event)

    def _list(self, key: TopologyKey, kind: str) -> Iterator[Manifest]:
        selector = f"{MANAGED_BY_LABEL}={MANAGER},{INSTANCE_LABEL}={key.name}"
        path = _PATHS[kind].format(namespace=key.namespace)
        found = self._request("GET", path, query={"labelSelector": selector})
        for item in found["items"]:  # only the list says what its items are
            yield {**item, "apiVersion": found["apiVersion"], "kind": kind}

    def _get(self, namespace: str, key: ObjectKey) -> Manifest | None:
        try:
            return self._request("GET", self._path(namespace, key))
        except ClusterError as error:
            if error.status == 404:
                return None
            raise

    @staticmethod
    def _path(namespace: str, key: ObjectKey) -> str:
        return f"{_PATHS[key.kind].format(namespace=namespace)}/{key.name}"

    def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        call = self._api.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": content_type},
            # The client writes JSON itself, and only hands on what it takes for something else.
            body=json.dumps(body) if content_type == _APPLY else body,
            auth_settings=["BearerToken"],
        )
        try:
            response = self._api.call_api(*call, _request_timeout=_TIMEOUT_SECONDS)
            answer: dict[str, Any] = json.loads(response.read())  # type: ignore[no-untyped-call]
        except (HTTPError, client.ApiException, ValueError) as error:
            raise ClusterError(0, f"{method} {path}: {error}") from error
        if response.status >= 400:
            raise ClusterError(response.status, answer.get("message", f"{method} {path}: {response.status}"))
        return answer


def _load_kubeconfig() -> None:
    try:
        config.load_kube_config()  # type: ignore[no-untyped-call]
    except (config.ConfigException, YAMLError) as error:
        raise ClusterError(0, f"no usable kubeconfig: {' '.join(str(error).split())}") from error
