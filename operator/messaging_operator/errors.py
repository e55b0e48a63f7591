"""What can go wrong, told in one place. Everybody in the operator imports this; it imports only the contract.

A `Problem` is a value: one thing that could not be done, or that is not as declared. It ends in a condition and never
holds the rest back. What is raised instead leaves nothing to say in a condition:

    OperatorError
    ├── SettingsError   the operator itself is configured wrongly: it does not start
    ├── ResourceError   the resource cannot be read as a topology: its conditions say so, nothing else is touched
    └── ClusterError    the API server refused or did not answer; what it was about decides whether that is a Problem
"""

from dataclasses import dataclass

from messaging_api.status import ConditionType, Reason

_ACCEPTED = {Reason.PARTITIONS_AHEAD_OF_SPEC}
_HEALING = {Reason.KAFKA_UNREACHABLE, Reason.IN_PROGRESS}


@dataclass(frozen=True)
class Problem:
    """One thing that is not as declared, and the condition (`aspect`) that has to say so."""

    aspect: ConditionType
    reason: Reason
    message: str

    @property
    def accepted(self) -> bool:
        """The world differs from the spec and may stay so."""
        return self.reason in _ACCEPTED

    @property
    def heals(self) -> bool:
        """Nobody has to act: the next reconciles try again."""
        return self.reason in _HEALING


class OperatorError(Exception):
    """Base of what the operator raises itself."""


class SettingsError(OperatorError):
    """Names the environment variable and what it should hold."""


class ResourceError(OperatorError):
    """Names the field of the resource and why it is refused."""


class ClusterError(OperatorError):
    """The API server's answer: its HTTP status, 0 where there was none."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def heals(self) -> bool:
        """No answer, a conflict, too many requests, a server's own fault: the same call may succeed later."""
        return self.status in (0, 409, 429) or self.status >= 500
