"""Processors that can crash, forked from a process that has imported everything: that is most of what a start takes."""

import importlib
import multiprocessing
import os
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

from testkit.processes import Slot

_CRASHING = "testkit.crashing"
_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload([_CRASHING])


def launch(slot: Slot, module: str = _CRASHING, **environment: str) -> BaseProcess:
    """Starts one by the `main` of `module`; what it says is appended to its log. Who starts it ends it."""
    process = _FORKING.Process(target=_run, args=(module, slot.log, slot.environment | environment))
    process.start()
    return process


def _run(module: str, log: Path, environment: dict[str, str]) -> None:
    """In the new process."""
    with log.open("ab") as output:
        os.dup2(output.fileno(), sys.stdout.fileno())
        os.dup2(output.fileno(), sys.stderr.fileno())
    os.environ.update(environment)
    importlib.import_module(module).main()
