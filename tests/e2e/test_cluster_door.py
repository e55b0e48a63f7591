"""The door to the API server keeps the contract that the local run's processes keep, too."""

from collections.abc import Iterator

import pytest
from kubernetes import config

from bed.state import BedState, project_images
from messaging_operator.clients import kube
from messaging_operator.state import ProcessorImages, TopologyKey
from testkit.cluster import NAMESPACE, Cluster
from testkit.cluster_contract import TOPOLOGY, ClusterContract, Place, cleared


@pytest.fixture
def place(cluster: Cluster, bed: BedState) -> Iterator[Place]:
    cluster.install_operator()
    api = config.new_client_from_config(bed.kubeconfig)  # type: ignore[no-untyped-call]
    images = project_images()
    images_here = ProcessorImages(images["gateway"], images["billing"], images["sink"], "IfNotPresent")
    with cleared(Place(kube.Cluster(api), TopologyKey(NAMESPACE, TOPOLOGY), images_here)) as place:
        yield place


class TestApiServer(ClusterContract):
    """The whole suite."""
