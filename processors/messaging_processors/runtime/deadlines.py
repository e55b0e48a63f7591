"""A deadline for calls of the Kafka client that do not keep their own.

Those about transactions are given a time, and yet wait without end for their answer from the client's other threads
(librdkafka 2.16; of one of them its issue 5456 says why): `send_offsets_to_transaction` has lasted for ten minutes
after a broker had been killed. A loop that does not turn loses its place in the group and looks dead.
"""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue


def within(seconds: float, call: Callable[[], object]) -> None:
    """Calls, in a thread of its own; raises what that raises, and `TimeoutError` where it takes longer.

    The call goes on then, and nobody waits for it: whatever it works on must be given up.
    """
    outcomes: SimpleQueue[BaseException | None] = SimpleQueue()

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001  handed on to the caller
            outcomes.put(error)
        else:
            outcomes.put(None)

    threading.Thread(target=run, name="within", daemon=True).start()
    try:
        error = outcomes.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"the client did not return in {seconds:.1f} s") from None
    try:
        if error:
            raise error
    finally:
        del error  # its frames hold the client, which would live on until somebody looks for cycles
