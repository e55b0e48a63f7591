"""How much a tenant may ask: a token bucket each (GCRA, as ATM networks police cells), in this pod's memory.

Promise: what is too much is refused before be-messaging hears of it, and one tenant's hurry is never at another's cost.
All keys of a tenant draw on one bucket. Pods count alone: together they let in as many times the limit as there are.
"""

import math

from throttled import MemoryStore, RateLimiterType, Throttled, per_sec

from messaging_api.access import Tenant
from messaging_api.topology import RateLimit
from messaging_processors.runtime.problems import ProblemError

# The library forgets the bucket that was idle longest when there are more; so many tenants do not fit into a Secret.
_MAX_TENANTS = 65_536


class RateLimiter:
    """The tenants' buckets."""

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._buckets = Throttled(
            using=RateLimiterType.GCRA.value,
            quota=per_sec(limit.requests_per_second, limit.burst),
            store=MemoryStore(options={"MAX_SIZE": _MAX_TENANTS}),
        )

    def admit(self, tenant: Tenant) -> None:
        """Takes a request of the tenant's; raises the 429 of one that is too much, and that takes nothing."""
        taken = self._buckets.limit(tenant)
        if taken.limited:
            rate = f"Tenant {tenant} asks more than {self._limit.requests_per_second} times a second"
            wait = {"Retry-After": str(math.ceil(taken.state.retry_after))}
            raise ProblemError(429, f"{rate}; nothing was done, try again after Retry-After.", headers=wait)
