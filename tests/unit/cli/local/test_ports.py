"""A port is one service's alone, also while nobody listens there yet."""

import random
import subprocess
import sys

from messaging_cli.local.services import free_port

ANOTHER = """
import random
from messaging_cli.local.services import free_port
random.seed(2)
print(free_port(), flush=True)
input()
"""


def test_a_port_is_given_once() -> None:
    ports = set()
    for _ in range(2):
        random.seed(1)
        ports.add(free_port())
    assert len(ports) == 2


def test_two_processes_are_not_given_the_same() -> None:
    with subprocess.Popen([sys.executable, "-c", ANOTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as another:
        assert another.stdout
        its = int(another.stdout.readline())
        random.seed(2)
        assert free_port() != its
        another.communicate(b"\n")
