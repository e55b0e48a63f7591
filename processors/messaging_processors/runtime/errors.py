"""What the runtime raises, drawn whole:

Away            a dependency cannot be used; nobody's record is at fault, and the same attempt may succeed later
SchemaTooNew    the database can only be used by newer processors; the process ends, for a person has to act
"""


class Away(Exception):
    """`dependency` cannot be used now; `retry_after` seconds where it said itself when to come back."""

    def __init__(self, dependency: str, why: str, retry_after: float | None = None) -> None:
        super().__init__(f"{dependency}: {why}")
        self.dependency = dependency
        self.why = why
        self.retry_after = retry_after


class SchemaTooNew(Exception):
    """The database was migrated by a version that this one cannot work beside."""
