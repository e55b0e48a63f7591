"""A deadline for calls of the Kafka client that do not keep their own.

Those about transactions are given a time, and yet wait without end for their answer from the client's other threads
(librdkafka 2.16; of one of them its issue 5456 says why): `send_offsets_to_transaction` has lasted for ten minutes
after a broker had been killed. A loop that does not turn loses its place in the group and looks dead.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future


def within(seconds: float, call: Callable[[], object]) -> None:
    """Calls, in a thread of its own; raises what that raises, and `TimeoutError` where it takes longer.

    The call goes on then, and nobody waits for it: whatever it works on must be given up.
    """
    outcome: Future[object] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001  handed on to the caller
            outcome.set_exception(error)

    threading.Thread(target=run, name="within", daemon=True).start()
    try:
        outcome.result(seconds)
    except TimeoutError as error:
        raise TimeoutError(f"the client did not return in {seconds:.1f} s") from error
