"""What Kubernetes tells us, and nothing more: `kopf run -m messaging_operator.handlers`.

Low-level event handlers only: they store nothing in the resource, neither finalizers nor annotations, so that a
resource can always be deleted, operator or not. They mark a topology; `worker` decides when it is looked at.
"""

from datetime import UTC, datetime
from functools import partial

import kopf

from messaging_api.base import GROUP, PLURAL, VERSION
from messaging_operator import logs, metrics
from messaging_operator.clients import kafka, probes
from messaging_operator.clients.kube import Cluster
from messaging_operator.reconcile import Clients, reconcile
from messaging_operator.settings import Settings
from messaging_operator.state import INSTANCE_LABEL, MANAGED_BY_LABEL, MANAGER, TopologyKey
from messaging_operator.worker import Worker


@kopf.on.startup(errors=kopf.ErrorsMode.PERMANENT)
async def start(settings: kopf.OperatorSettings, memo: kopf.Memo, **_: object) -> None:
    """Raises `SettingsError`, which ends the process."""
    logs.configure()
    _limit_waiting(settings)
    ours = Settings.from_env()
    clients = Clients(Cluster.connect(), kafka.connect, probes.readiness)
    metrics.serve(ours.metrics_port)
    memo.worker = Worker(partial(_round, clients, ours), ours.resync_seconds)


def _round(clients: Clients, settings: Settings, key: TopologyKey) -> bool:
    return reconcile(key, clients, settings, datetime.now(UTC))


def _limit_waiting(settings: kopf.OperatorSettings) -> None:
    """A watch that has silently died looks like a quiet one: each has an end, and silence has one too."""
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.inactivity_timeout = 70
    settings.watching.connect_timeout = settings.networking.connect_timeout = 5
    settings.networking.request_timeout = 30
    settings.watching.label_selectors["apps", "deployments"] = f"{MANAGED_BY_LABEL}={MANAGER}"
    settings.posting.enabled = False


@kopf.on.cleanup()
async def stop(memo: kopf.Memo, **_: object) -> None:
    """No new rounds while the process ends."""
    await memo.worker.close()


@kopf.on.probe(id="worker", errors=kopf.ErrorsMode.PERMANENT)
async def is_working(memo: kopf.Memo, **_: object) -> str:
    """Fails the liveness probe where no round has ended for minutes."""
    if memo.worker.is_stuck():
        raise kopf.PermanentError("no reconcile has ended for minutes")
    return "working"


@kopf.on.event(GROUP, VERSION, PLURAL)
async def topology_changed(
    event: kopf.RawEvent, memo: kopf.Memo, namespace: str | None, name: str | None, **_: object
) -> None:
    """Created, changed, deleted, or listed after a start."""
    key = TopologyKey(str(namespace), str(name))
    (memo.worker.forget if event["type"] == "DELETED" else memo.worker.mark)(key)


@kopf.on.event("apps", "v1", "deployments", labels={MANAGED_BY_LABEL: MANAGER})
async def workload_changed(memo: kopf.Memo, namespace: str | None, labels: kopf.Labels, **_: object) -> None:
    """A rollout moves on, somebody edited or deleted a Deployment."""
    memo.worker.touch(TopologyKey(str(namespace), labels.get(INSTANCE_LABEL, "")))
