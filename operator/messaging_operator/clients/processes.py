"""The local run's API server: the same door as `kube`, with child processes in place of pods.

`reconcile` and `apply` use it through `ClusterDoor`; the command line's `up` makes it and calls `tick` every now and
then. A Deployment is rolled out as Kubernetes does it; a Service is one port that all its pods listen on; a Secret is
what the command line was told. Objects live as long as the run does. Not thread-safe.
"""

import json
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from messaging_api.processor import CONFIG_FILE, AnyProcessorConfig, GatewayConfig, Readiness
from messaging_api.status import TopologyStatus
from messaging_api.topology import MESSAGING_NAME
from messaging_operator.clients.child import Child
from messaging_operator.clients.rollout import next_step
from messaging_operator.errors import ClusterError
from messaging_operator.state import (
    INSTANCE_LABEL,
    MANAGED_BY_LABEL,
    MANAGER,
    Manifest,
    ObjectKey,
    Owner,
    TopologyKey,
    configuration_of,
    object_key,
)

_CONFIG: TypeAdapter[AnyProcessorConfig] = TypeAdapter(AnyProcessorConfig)
_HOST = "127.0.0.1"
OBJECTS_FILE = "objects.json"
STATUS_FILE = "status.json"
PROCESSES_FILE = "processes.json"


@dataclass(frozen=True)
class Surroundings:
    """What Kubernetes would bring into a pod, and what the run's processes are started with."""

    folder: Path
    environment: Mapping[str, str]
    secrets: Mapping[tuple[str, str], str]
    """By name and key."""
    api_keys: Path
    """A folder with one file a client, as a mounted Secret has."""
    service_ports: Mapping[str, int]
    """By the name of the Service."""
    free_port: Callable[[], int]
    readiness: Callable[[Collection[str]], Mapping[str, Readiness]]
    tell: Callable[[str, str, str], None]
    """Events: Normal or Warning, the reason, the message."""


@dataclass
class Pod:
    """One process of a Deployment."""

    name: str
    deployment: str
    manifest: Manifest
    template: str
    configuration: str
    health: str
    child: Child
    ready: bool = False


@dataclass
class Processes:
    """One topology, its objects and its processes."""

    around: Surroundings
    resource: dict[str, Any]
    config_maps: Mapping[str, Manifest] = field(default_factory=dict)
    """Those that others have made, by name."""
    _objects: dict[ObjectKey, dict[str, Any]] = field(default_factory=dict)
    _pods: list[Pod] = field(default_factory=list)
    _ending: list[Pod] = field(default_factory=list)
    _versions: int = 0

    def declare(self, resource: Manifest) -> None:
        """Another spec, as `kubectl apply` brings it."""
        generation = self.resource["metadata"]["generation"] + 1
        metadata = {**self.resource["metadata"], "generation": generation}
        self.resource = {**self.resource, "spec": deepcopy(resource["spec"]), "metadata": metadata}

    def topology(self, key: TopologyKey) -> Manifest | None:
        """The resource."""
        metadata = self.resource["metadata"]
        return self.resource if (metadata["namespace"], metadata["name"]) == (key.namespace, key.name) else None

    def children(self, key: TopologyKey) -> Mapping[ObjectKey, Manifest]:
        """What bears the topology's labels."""
        wanted = {MANAGED_BY_LABEL: MANAGER, INSTANCE_LABEL: key.name}
        return {
            name: self._shown(found)
            for name, found in self._objects.items()
            if wanted.items() <= found["metadata"].get("labels", {}).items()
        }

    def child(self, namespace: str, key: ObjectKey) -> Manifest | None:
        """The object of that name."""
        if found := self._objects.get(key):
            return self._shown(found)
        return self.config_maps.get(key.name) if key.kind == "ConfigMap" else None

    def pods(self, key: TopologyKey) -> Sequence[Manifest]:
        """The processes that are not about to end."""
        return [_pod_manifest(pod) for pod in self._pods]

    def apply(self, namespace: str, manifest: Manifest) -> None:
        """What is declared becomes so; the generation tells whether that was a change."""
        key = object_key(manifest)
        old = self._objects.get(key)
        new = deepcopy(dict(manifest))
        generation = old["metadata"]["generation"] if old else 0
        generation += old is None or old.get("spec") != new.get("spec")
        self._versions += 1
        uid = old["metadata"]["uid"] if old else f"{key.kind.lower()}-{key.name}-{self._versions}"
        new["metadata"] |= {"uid": uid, "generation": generation}
        self._objects[key] = new
        self._tell_objects()

    def delete(self, namespace: str, key: ObjectKey, uid: str) -> None:
        """That very object: a namesake made in the meantime stays."""
        found = self._objects.get(key)
        if found is None:
            return
        if found["metadata"]["uid"] != uid:
            raise ClusterError(409, f"{key} is another one by now")
        del self._objects[key]
        self._tell_objects()

    def write_status(self, owner: Owner, status: TopologyStatus) -> None:
        """Where others find it, too."""
        self.resource["status"] = status.model_dump(mode="json")
        _replace(self.around.folder / STATUS_FILE, json.dumps(self.resource, indent=1))

    def write_event(self, owner: Owner, kind: str, reason: str, message: str, now: str) -> None:
        """Told at once."""
        self.around.tell(kind, reason, message)

    def tick(self) -> bool:
        """Starts, ends and revives processes as the Deployments ask; whether anything has changed."""
        before = self._picture()
        for pod in self._pods:
            pod.child.keep()
        self._look()
        for key, deployment in self._objects.items():
            if key.kind == "Deployment":
                self._roll(key.name, deployment["spec"])
        orphans = [pod for pod in self._pods if ObjectKey("Deployment", pod.deployment) not in self._objects]
        self._end(orphans)
        self._ending = [pod for pod in self._ending if not pod.child.ended()]
        changed = before != self._picture()
        if changed:
            self._tell_processes()
        return changed

    def end(self) -> bool:
        """Asks all processes to end; call it until it says that they have."""
        self._end(list(self._pods))
        self._ending = [pod for pod in self._ending if not pod.child.ended()]
        return not self._ending

    def kill(self) -> None:
        """Ends all processes, and at once."""
        for pod in (*self._pods, *self._ending):
            pod.child.kill()

    def _picture(self) -> list[tuple[str, int, bool]]:
        return [(pod.name, pod.child.pid, pod.ready) for pod in (*self._pods, *self._ending)]

    def _look(self) -> None:
        answers = self.around.readiness([pod.health for pod in self._pods])
        for pod in self._pods:
            pod.ready = pod.health in answers and answers[pod.health].ready

    def _roll(self, name: str, spec: Manifest) -> None:
        template = json.dumps(spec["template"], sort_keys=True)
        pods = [pod for pod in self._pods if pod.deployment == name]
        step = next_step(spec["replicas"], template, pods)
        self._end([pod for pod in pods if pod in step.stop])
        for _ in range(step.start):
            self._pods.append(self._start(name, spec["template"], template))

    def _end(self, pods: Sequence[Pod]) -> None:
        for pod in pods:
            pod.child.end()
        self._pods = [pod for pod in self._pods if pod not in pods]
        self._ending += pods

    def _start(self, deployment: str, manifest: Manifest, template: str) -> Pod:
        """Names are used again: a successor with the transactional id of a dead process ends its transaction."""
        taken = {pod.name for pod in (*self._pods, *self._ending)}
        name = next(name for number in range(len(taken) + 1) if (name := f"{deployment}-{number}") not in taken)
        port = self.around.free_port()
        folder = self.around.folder
        config = folder / "config" / f"{name}.json"
        config.parent.mkdir(parents=True, exist_ok=True)
        configuration = configuration_of(self._objects[ObjectKey("Deployment", deployment)])
        config.write_text(self._configuration(configuration))
        own = {"POD_NAME": name, "MESSAGING_CONFIG": str(config), "HEALTH_PORT": str(port)}
        environment = {**self.around.environment, **self._secrets(manifest), **own, **self._http_port(deployment)}
        log = folder / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        child = Child([sys.executable, "-m", "messaging_processors"], environment, log)
        return Pod(name, deployment, manifest, template, configuration.name, f"{_HOST}:{port}", child)

    def _configuration(self, mounted: ObjectKey) -> str:
        """The ConfigMap's file; what DNS and a mounted Secret tell the gateway in a cluster is written into it."""
        config = _CONFIG.validate_json(self._objects[mounted]["data"][CONFIG_FILE])
        if isinstance(config, GatewayConfig):
            upstream = f"http://{_HOST}:{self.around.service_ports[MESSAGING_NAME]}"
            config = config.model_copy(update={"upstream": upstream, "api_keys_folder": str(self.around.api_keys)})
        return config.model_dump_json(indent=1)

    def _secrets(self, manifest: Manifest) -> dict[str, str]:
        references = {
            variable["name"]: reference
            for variable in manifest["spec"]["containers"][0]["env"]
            if (reference := variable.get("valueFrom", {}).get("secretKeyRef"))
        }
        known = self.around.secrets
        return {name: known.get((secret["name"], secret["key"]), "") for name, secret in references.items()}

    def _http_port(self, deployment: str) -> dict[str, str]:
        ports = self.around.service_ports
        return {"HTTP_PORT": str(ports[deployment])} if deployment in ports else {}

    def _shown(self, found: dict[str, Any]) -> Manifest:
        """With the status that a Deployment has in Kubernetes."""
        if found["kind"] != "Deployment":
            return found
        pods = [pod for pod in self._pods if pod.deployment == found["metadata"]["name"]]
        template = json.dumps(found["spec"]["template"], sort_keys=True)
        counts = {
            "observedGeneration": found["metadata"]["generation"],
            "replicas": len(pods),
            "updatedReplicas": sum(pod.template == template for pod in pods),
            "readyReplicas": sum(pod.ready for pod in pods),
        }
        return {**found, "status": {name: count for name, count in counts.items() if count}}

    def _tell_objects(self) -> None:
        """What there is, for `mtop plan`."""
        _replace(self.around.folder / OBJECTS_FILE, json.dumps(list(self._objects.values()), indent=1))

    def _tell_processes(self) -> None:
        """Which processes there are, for `mtop status`."""
        pods = [
            {
                "processor": pod.deployment,
                "replica": int(pod.name.rsplit("-", 1)[1]),
                "pid": pod.child.pid,
                "health": pod.health,
                "restarts": pod.child.restarts,
                "config": pod.configuration,
            }
            for pod in self._pods
        ]
        _replace(self.around.folder / PROCESSES_FILE, json.dumps(pods, indent=1))


def _pod_manifest(pod: Pod) -> Manifest:
    host, port = pod.health.rsplit(":", 1)
    words = pod.child.last_words
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": words}} if words else {"running": {}}
    container = {"name": "processor", "ports": [{"name": "health", "containerPort": int(port)}]}
    return {
        "metadata": {"name": pod.name, "labels": pod.manifest["metadata"]["labels"]},
        "spec": {"containers": [container]},
        "status": {"phase": "Running", "podIP": host, "containerStatuses": [{"state": waiting}]},
    }


def _replace(path: Path, text: str) -> None:
    """Complete or not at all, for those who read it meanwhile."""
    scratch = path.with_suffix(".partial")
    scratch.write_text(text)
    scratch.rename(path)
