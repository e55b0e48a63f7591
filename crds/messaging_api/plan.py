"""What an apply would change, as people and programs are told: one `Change` for every value that becomes another.

The operator fills it; the command line prints it.
"""

from enum import StrEnum

from messaging_api.base import Model


class Risk(StrEnum):
    """What a change can do to those who depend on the topology, the worst last: a closed list, part of the API."""

    SAFE = "Safe"
    ORDERING_RISK = "OrderingRisk"
    DISRUPTIVE = "Disruptive"
    DATA_LOSS = "DataLoss"


class ChangeAction(StrEnum):
    """What happens to the target."""

    CREATE = "Create"
    UPDATE = "Update"
    DELETE = "Delete"


class Change(Model):
    """One value of a topic or an object; without a `field` it is the whole target, and None is its absence."""

    action: ChangeAction
    target: str
    field: str = ""
    before: str | None
    after: str | None
    risk: Risk
    reason: str
