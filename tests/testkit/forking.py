"""Processors that can crash, forked like those that cannot."""

from multiprocessing.process import BaseProcess

from testkit.forked import ForkedProcess, run
from testkit.processes import Slot

_CRASHING = "testkit.crashing"


def launch(slot: Slot, module: str = _CRASHING, **environment: str) -> BaseProcess:
    """Starts one by the `main` of `module`; what it says is appended to its log. Who starts it ends it."""
    process = ForkedProcess(target=run, args=(module, slot.log, slot.environment | environment))
    process.start()
    return process
