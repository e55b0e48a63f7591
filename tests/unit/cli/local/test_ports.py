"""A port is one service's alone, also while nobody listens there yet."""

import random

from messaging_cli.local.services import free_port


def test_a_port_is_given_once() -> None:
    ports = set()
    for _ in range(2):
        random.seed(1)
        ports.add(free_port())
    assert len(ports) == 2
