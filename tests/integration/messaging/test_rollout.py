"""A rollout breaks no request: one of two gateways and one of two be-messaging pods end while messages come in.

Client → Service → gateways → Service → be-messaging. The Services are miniatures that treat connections as Kubernetes
does, and the client keeps a pool as real ones do: the connections of the pods that end are in use when they end.
"""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from messaging_api.processor import DomainConfig, MessagingConfig
from messaging_cli.local.services import free_port
from testkit.processes import Processor, a_gateway_config, running
from testkit.service import Service, serving
from testkit.traffic import DOMAINS, Gateway, Traffic
from testkit.waiting import eventually

KEY = "key-of-shop"
RATE = 50
NO_CONNECTION = "be-messaging cannot be reached; nothing was sent"
"""What a gateway says on a busy machine; a pod that ends has no reason to refuse anything."""


class Deployments:
    """Two gateways in front of two be-messaging pods, a Service before either pair."""

    def __init__(self, messaging: MessagingConfig, stores: dict[str, str], folder: Path, stack: ExitStack) -> None:
        inner, outer = free_port(), free_port()
        gateway = a_gateway_config(f"http://127.0.0.1:{inner}", folder, {"shop": KEY})
        charged = DomainConfig(topic="http-marketing", currency="USD")
        messaging = messaging.model_copy(update={"domains": dict.fromkeys(DOMAINS, charged)})
        self.messaging = [stack.enter_context(running(messaging, folder, **stores)) for _ in range(2)]
        self.gateways = [stack.enter_context(running(gateway, folder)) for _ in range(2)]
        for pod in self.messaging + self.gateways:
            pod.await_ready()
        self.services = [
            stack.enter_context(serving(inner, self.messaging)),
            stack.enter_context(serving(outer, self.gateways)),
        ]
        self.client = Gateway(f"http://127.0.0.1:{outer}", KEY)


@pytest.fixture
def deployments(messaging_config: MessagingConfig, stores: dict[str, str], tmp_path: Path) -> Iterator[Deployments]:
    with ExitStack() as stack:
        yield Deployments(messaging_config, stores, tmp_path, stack)


def test_pods_that_end_under_load_break_no_request(deployments: Deployments) -> None:
    deployments.client.accounts_registered()
    ending = [deployments.messaging[0], deployments.gateways[0]]
    with Traffic(deployments.client, RATE, count=50_000) as traffic:
        more(traffic)
        assert all(in_use(pod, deployments.services) for pod in ending)
        for pod in ending:
            pod.process.send_signal(signal.SIGTERM)
        assert [pod.process.wait(20) for pod in ending] == [0, 0]
        more(traffic)
    broken = [answer for answer in traffic.answers if not answer.accepted]
    assert [answer for answer in broken if NO_CONNECTION not in answer.detail] == []
    assert len(broken) < len(traffic.accepted), "that is no busy machine any more"


def more(traffic: Traffic) -> None:
    """Waits for more accepted messages."""
    before = len(traffic.accepted)
    eventually(lambda: len(traffic.accepted) > before + 2 * RATE)


def in_use(pod: Processor, services: list[Service]) -> bool:
    return any(service.connections[pod.url] for service in services)
