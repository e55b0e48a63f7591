"""A caller who wants to know: repeats a request under its key until the answer is certain, or its patience is over.

answer                                   what it means
202, 200, 201                            accepted
4xx                                      refused for certain, for ever
429, 503, no connection                  not accepted; the same request may be tried again
anything else, or a connection that
breaks after the request was sent        unknown; only a repeat under the same key can tell
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import cycle
from typing import Any

import httpx

from chaos.observed import Outcome
from messaging_api.access import API_KEY_HEADER
from messaging_api.message import IDEMPOTENCY_HEADER

SILENT_SECONDS = 8.0
_AGAIN_SECONDS = 0.2


class Verdict(Enum):
    """What one answer means."""

    ACCEPTED = auto()
    REFUSED = auto()
    NOT_ACCEPTED = auto()
    UNKNOWN = auto()


def verdict(status: int) -> Verdict:
    """What a status means."""
    if status in (200, 201, 202):
        return Verdict.ACCEPTED
    if status in (429, 503):
        return Verdict.NOT_ACCEPTED
    return Verdict.REFUSED if 400 <= status < 500 else Verdict.UNKNOWN


@dataclass(frozen=True)
class Request:
    """A request, the same in every attempt."""

    method: str
    path: str
    body: Any
    key: str = ""


@dataclass
class Result:
    """What came of all attempts at a request."""

    verdicts: list[Verdict] = field(default_factory=list)
    answer: dict[str, Any] = field(default_factory=dict)
    t_send: float = 0.0
    t_done: float = 0.0

    @property
    def outcome(self) -> Outcome:
        if Verdict.ACCEPTED in self.verdicts:
            return Outcome.OK
        return Outcome.UNKNOWN if Verdict.UNKNOWN in self.verdicts else Outcome.FAIL

    @property
    def is_certain(self) -> bool:
        return bool(self.verdicts) and self.verdicts[-1] in (Verdict.ACCEPTED, Verdict.REFUSED)


class Client:
    """Goes from one gateway to the next with every attempt, and tells each answer. Not thread-safe."""

    def __init__(
        self, urls: Sequence[str], api_key: str, wait: Callable[[float], object], tell: Callable[[Verdict], object]
    ) -> None:
        self._urls = cycle(urls)
        self._wait = wait
        self._tell = tell
        self._http = httpx.Client(
            headers={API_KEY_HEADER: api_key}, timeout=SILENT_SECONDS, verify=False, trust_env=False
        )

    def close(self) -> None:
        self._http.close()

    def call(self, request: Request, patience: float, again: bool = False) -> Result:
        """Attempts until certain, at most for `patience` seconds; `again`: as if the first answer had been lost."""
        result = Result(t_send=time.time())
        deadline = time.monotonic() + patience
        while not result.is_certain and (not result.verdicts or time.monotonic() < deadline):
            if result.verdicts:
                self._wait(_AGAIN_SECONDS)
            self._attempt(request, result)
        if again:
            self._attempt(request, result)
        result.t_done = time.time()
        return result

    def _attempt(self, request: Request, result: Result) -> None:
        headers = {IDEMPOTENCY_HEADER: request.key} if request.key else {}
        url = next(self._urls) + request.path
        try:
            answer = self._http.request(request.method, url, json=request.body, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            found = Verdict.NOT_ACCEPTED
        except httpx.TransportError:
            found = Verdict.UNKNOWN
        else:
            found = verdict(answer.status_code)
            result.answer = answer.json() if found is Verdict.ACCEPTED else result.answer
        result.verdicts.append(found)
        self._tell(found)
