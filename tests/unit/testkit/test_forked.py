"""Processes that start with their libraries, and that several threads look at."""

import signal
from concurrent.futures import ThreadPoolExecutor

from testkit.forked import LIBRARIES, ForkedProcess
from testkit.waiting import eventually


def test_a_process_begins_with_its_libraries() -> None:
    """Nothing that it does itself imports them."""
    process = ForkedProcess(target=exec, args=(f"import sys; sys.exit(len({set(LIBRARIES)} - sys.modules.keys()))", {}))
    process.start()
    process.join()
    assert process.exitcode == 0


def test_every_thread_is_told_how_a_process_ended() -> None:
    processes = [ForkedProcess(target=signal.pause) for _ in range(20)]
    for process in processes:
        process.start()

    def all_ended() -> bool:
        return None not in {process.exitcode for process in processes}

    with ThreadPoolExecutor(8) as threads:
        looks = [threads.submit(eventually, all_ended, every=0) for _ in range(8)]
        for process in processes:
            process.kill()
    assert all(look.result() for look in looks)
    assert {process.exitcode for process in processes} == {-signal.SIGKILL}
