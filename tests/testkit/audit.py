"""The API server's audit log: what one service account asked for, and what it wrote."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from testkit.waiting import eventually

LOG = "/var/log/audit/audit.log"
WRITES = {"create", "update", "patch", "delete", "deletecollection"}


@dataclass(frozen=True)
class Request:
    """One completed request of the service account."""

    at: datetime
    verb: str
    uri: str

    @property
    def writes(self) -> bool:
        return self.verb in WRITES


@dataclass(frozen=True)
class Audit:
    """Reads the JSON lines of one user on the cluster's node: on the host only root may read them."""

    node: str
    user: str

    def requests(self) -> list[Request]:
        return [found for line in self._lines() if (found := self._request(line))]

    def writes_since(self, then: datetime) -> list[Request]:
        """By the API server's clock, because a log that was rotated begins anew."""
        return [request for request in self.requests() if request.writes and request.at > then]

    def writes_at_rest(self) -> list[Request]:
        """What is written over three resyncs of ten seconds, once there has been one without a write."""
        eventually(lambda: self.quiet_seconds() >= 12, within=60, every=1)
        settled = self.requests()[-1].at
        eventually(lambda: self.quiet_seconds() >= 42, within=60, every=1)
        return self.writes_since(settled)

    def _lines(self) -> list[str]:
        command = ["docker", "exec", self.node, "grep", "--fixed-strings", self.user, LOG]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert not done.stderr, f"{' '.join(command)}: {done.stderr}"
        return done.stdout.splitlines()

    def _request(self, line: str) -> Request | None:
        try:
            event: dict[str, Any] = json.loads(line)
        except ValueError:  # the API server is writing this line just now
            return None
        if event["stage"] != "ResponseComplete" or not event["user"]["username"].startswith(self.user):
            return None
        return Request(datetime.fromisoformat(event["stageTimestamp"]), event["verb"], event["requestURI"])

    def since_last_write(self) -> Iterator[Request]:
        """The requests after the last write, oldest first."""
        requests = self.requests()
        last = max((number for number, request in enumerate(requests) if request.writes), default=-1)
        return iter(requests[last + 1 :])

    def quiet_seconds(self) -> float:
        """How long the user has been reading without writing, between its own requests."""
        quiet = list(self.since_last_write())
        return (quiet[-1].at - quiet[0].at).total_seconds() if quiet else 0.0
