"""The API gateway's process; `__main__` calls `run`."""

from functools import partial
from pathlib import Path

from messaging_api.processor import GatewayConfig
from messaging_api.topology import MESSAGING_NAME
from messaging_processors.gateway.app import create_app
from messaging_processors.gateway.forwarding import probe
from messaging_processors.gateway.keys import API_KEY_ENTRIES, API_KEYS, ApiKeys
from messaging_processors.gateway.limiting import RateLimiter
from messaging_processors.runtime import web
from messaging_processors.runtime.process import Runtime
from messaging_processors.runtime.watching import reporting, watch


def run(config: GatewayConfig, runtime: Runtime) -> None:
    """Serves until the process is told to stop.

    Without keys nobody could be let in, so they decide on readiness; single entries that are wrong are only told.
    be-messaging does not decide either: taking every gateway out of its Service would turn a 503 that says when to try
    again into a refused connection.
    """
    keys = ApiKeys(Path(config.api_keys_folder))
    watch(runtime, reporting(runtime.health, API_KEYS, keys.reload))
    watch(runtime, reporting(runtime.health, API_KEY_ENTRIES, keys.check, required=False))
    watch(runtime, reporting(runtime.health, MESSAGING_NAME, partial(probe, config.upstream), required=False))
    limiter = RateLimiter(config.rate_limit) if config.rate_limit else None
    web.serve(create_app(keys, config.upstream, limiter), runtime)
