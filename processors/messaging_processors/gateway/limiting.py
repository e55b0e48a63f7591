"""How much a tenant may ask: a token bucket each (GCRA, ITU-T I.371), in this pod's memory.

Promise: what is too much is refused before be-messaging hears of it, and one tenant's hurry is never at another's cost.
All keys of a tenant draw on one bucket. Pods count alone: together they let in as many times the limit as there are.
"""

import math

from throttled import MemoryStore, RateLimiterType, Throttled, per_sec

from messaging_api.access import Tenant
from messaging_api.topology import RateLimit
from messaging_processors.runtime.problems import ProblemError

# When there are more the library forgets the one idle longest. So many keys of 16 bytes fill a Secret.
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
            wait = str(math.ceil(taken.state.retry_after))
            above = f"Tenant {tenant} is above its rate of {self._limit.requests_per_second}/s"
            detail = f"{above}; nothing was done, send the request again in {wait} s."
            raise ProblemError(429, detail, headers={"Retry-After": wait})
