"""Random faults for a while, one after the other, and what the processes use meanwhile: `make soak SECONDS=600`.

The seed is printed; `make soak SEED=…` plays the same faults again.
"""

import os
import random
import time
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from chaos.faults import FAULTS, growth
from chaos.judge import Judge
from chaos.supervisor import Supervisor
from chaos.usage import Usage

SECONDS = float(os.environ.get("SECONDS", "600"))
SEED = int(os.environ.get("SEED") or time.time())
_CHOICE = [fault for fault in FAULTS if fault not in growth.FAULTS]
"""What can be done again and again."""
_MOST_MEMORY, _MOST_FILES, _MOST_THREADS = 64 * 2**20, 32, 16
_LAST = 3
"""A process with no more samples than that is too young to tell."""

Samples = dict[tuple[str, int], list[Usage]]
"""By pod and process."""


def test_promises_hold_and_nothing_grows(judge: Judge) -> None:
    chosen, end = random.Random(SEED), time.monotonic() + SECONDS
    samples: Samples = {}
    print(f"\nseed {SEED}")
    while time.monotonic() < end:
        fault = chosen.choice(_CHOICE)
        print(f"{end - time.monotonic():5.0f} s left: {fault.name}", flush=True)
        judge.strikes(fault)
        _sample(judge.world.supervisor, samples)
    Console(width=120).print(_table(samples))
    grown = {process: growth for process, found in samples.items() if _is_too_much(growth := _growth(found))}
    assert not grown, f"grew: {grown}"


def _sample(supervisor: Supervisor, samples: Samples) -> None:
    for pod in supervisor.pods():
        samples.setdefault((pod.name, pod.running.process.pid), []).append(pod.usage())


def _growth(found: list[Usage]) -> Usage:
    """From the first sample, after a first load, to the least of the last ones: what an overload has filled empties."""
    first, last = found[0], found[-_LAST:]
    return Usage(
        min(one.memory for one in last) - first.memory,
        min(one.files for one in last) - first.files,
        min(one.threads for one in last) - first.threads,
    )


def _is_too_much(growth: Usage) -> bool:
    return growth.memory > _MOST_MEMORY or growth.files > _MOST_FILES or growth.threads > _MOST_THREADS


def _table(samples: Mapping[tuple[str, int], list[Usage]]) -> Table:
    table = Table("pod", "pid", "samples", "MiB", "+ MiB", "+ files", "+ threads", title="what each process used")
    for (pod, pid), found in samples.items():
        growth = _growth(found)
        sizes = f"{found[-1].memory / 2**20:.0f}", f"{growth.memory / 2**20:+.1f}"
        table.add_row(pod, str(pid), str(len(found)), *sizes, f"{growth.files:+d}", f"{growth.threads:+d}")
    return table
