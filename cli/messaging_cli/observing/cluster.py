"""A topology in a cluster, as `gathering` asks it: pods, and through the API server's proxy their metrics.

Imported only where a namespace was given: the cluster's client library is large.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kubernetes import client
from urllib3.exceptions import HTTPError

from messaging_api.processor import HEALTH_PORT
from messaging_cli.errors import CliError
from messaging_cli.observing.gathering import Get, Process
from messaging_cli.running import Running, find
from messaging_operator.clients.kube import Cluster
from messaging_operator.errors import ClusterError
from messaging_operator.state import NAME_LABEL, TopologyKey

_TIMEOUT_SECONDS = (1, 2)


@dataclass(frozen=True)
class ClusterWorld:
    """A topology in a namespace."""

    key: TopologyKey
    kafka: str | None = None

    def running(self) -> Running:
        """The resource as the API server has it."""
        return find(self.key.name, self.key.namespace, self.kafka)

    def processes(self) -> list[Process]:
        """Its pods that run and are not about to end."""
        try:
            pods = Cluster.connect().pods(self.key)
        except ClusterError as error:
            raise CliError(f"the API server does not list pods: {error}") from error
        return running_processes(pods, client.ApiClient(), self.key.namespace)


def running_processes(pods: Iterable[Mapping[str, Any]], api: client.ApiClient, namespace: str) -> list[Process]:
    """Of the pods that run and are not about to end."""
    names = {pod["metadata"]["name"]: pod["metadata"]["labels"].get(NAME_LABEL, "") for pod in pods if _runs(pod)}
    return [Process(processor, pod, _getter(api, namespace, pod)) for pod, processor in names.items()]


def _runs(pod: Mapping[str, Any]) -> bool:
    return "deletionTimestamp" not in pod["metadata"] and pod.get("status", {}).get("phase") == "Running"


def _getter(api: client.ApiClient, namespace: str, pod: str) -> Get:
    def get(path: str) -> bytes | None:
        proxy = f"/api/v1/namespaces/{namespace}/pods/{pod}:{HEALTH_PORT}/proxy/{path}"
        try:
            call = api.param_serialize("GET", proxy, auth_settings=["BearerToken"])
            response: Any = api.call_api(*call, _request_timeout=_TIMEOUT_SECONDS)
            return bytes(response.read())
        except (HTTPError, client.ApiException):
            return None

    return get
