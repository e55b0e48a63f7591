"""be-messaging's process; `__main__` calls `run`."""

import threading

from messaging_api.base import seconds
from messaging_api.processor import MessagingConfig
from messaging_processors.messaging.accounts import Accounts
from messaging_processors.messaging.app import Api, create_app
from messaging_processors.messaging.messages import Messages
from messaging_processors.runtime import database, web
from messaging_processors.runtime.cache import Cache
from messaging_processors.runtime.connection import KAFKA
from messaging_processors.runtime.process import Runtime
from messaging_processors.runtime.publishing import Publisher
from messaging_processors.runtime.watching import reporting, watch


def run(config: MessagingConfig, runtime: Runtime) -> None:
    """Serves until the process is told to stop; what was handed to Kafka by then is delivered."""
    engine = database.connect(runtime.secrets.database_url)
    cache = Cache(runtime.secrets.cache_url, seconds(config.cache_ttl), runtime.health)
    publisher = Publisher(config.bootstrap_servers, sorted(config.routes.values()), runtime.health)
    accounts = Accounts(engine, cache, runtime.health)
    schema_is_there = threading.Event()

    def probe_database() -> None:
        if not schema_is_there.is_set():
            database.ensure_schema(engine)
            schema_is_there.set()
        database.probe(engine)

    watch(runtime, reporting(runtime.health, database.DATABASE, probe_database))
    watch(runtime, reporting(runtime.health, KAFKA, publisher.probe))
    watch(runtime, cache.probe)
    watch(runtime, accounts.tell_untold)
    web.serve(create_app(Api(config, accounts, Messages(engine, cache, runtime.health), publisher)), runtime)
    publisher.close()
