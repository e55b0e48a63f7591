"""A deadline for calls of the Kafka client that do not keep their own.

`send_offsets_to_transaction` has lasted for two minutes and for ten, in spite of its four seconds, after a broker had
been killed (librdkafka 2.16): a loop that does not turn loses its place in the group and looks dead.
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
