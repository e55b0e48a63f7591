"""HTTP without TLS, with a new connection for every request, from any thread.

One client for all: to make one reads the certificates of this machine, which costs 50 ms of a core. Where several
threads did so for every request, two cores had time for nothing else.
"""

import httpx

PLAIN = httpx.Client(
    timeout=15,
    verify=False,
    trust_env=False,
    limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
)
