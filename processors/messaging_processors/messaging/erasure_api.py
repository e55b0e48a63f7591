"""The endpoint of erasures."""

from functools import partial

from messaging_api.erasure import ErasureRequest, ErasureView
from messaging_processors.messaging.erasing import Erasures
from messaging_processors.messaging.parameters import Eraser
from messaging_processors.messaging.storing import StoreThreads

_UNKNOWN = "The database did not answer in time: the number may be erased, or not. Send it again."


class ErasureApi:
    """What is stored about subscribers."""

    def __init__(self, erasures: Erasures, threads: StoreThreads) -> None:
        self._erasures = erasures
        self._threads = threads

    async def erase(self, caller: Eraser, request: ErasureRequest) -> ErasureView:
        """Erases number and text of all messages to a number that were accepted until now; the ledger has neither."""
        erase = partial(self._erasures.erase, caller.tenant, request.to)
        return ErasureView(erased=await self._threads.change(erase, _UNKNOWN))
