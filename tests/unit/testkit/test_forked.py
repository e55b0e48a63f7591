"""Processes that several threads start and end."""

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from testkit.forked import ForkedProcess
from testkit.waiting import eventually


def test_every_thread_is_told_how_its_process_ended() -> None:
    def code() -> int | None:
        process = ForkedProcess(target=partial(os._exit, 7))
        process.start()
        eventually(lambda: process.exitcode is not None, every=0)
        return process.exitcode

    with ThreadPoolExecutor(8) as threads:
        assert Counter(threads.map(lambda _: code(), range(40))) == {7: 40}
