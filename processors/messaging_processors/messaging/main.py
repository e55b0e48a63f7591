"""be-messaging's process; `__main__` calls `run`."""

from sqlalchemy import Engine

from messaging_api.base import seconds
from messaging_api.processor import MessagingConfig
from messaging_processors.messaging.account_api import AccountApi
from messaging_processors.messaging.accounts import Accounts
from messaging_processors.messaging.app import create_app
from messaging_processors.messaging.erasing import Erasures
from messaging_processors.messaging.erasure_api import ErasureApi
from messaging_processors.messaging.intake import Intake
from messaging_processors.messaging.ledger import Ledger
from messaging_processors.messaging.message_api import MessageApi
from messaging_processors.messaging.messages import Messages
from messaging_processors.messaging.repeats import Repeats
from messaging_processors.messaging.retention import Sweeper, keep_sweeping
from messaging_processors.messaging.storing import StoreThreads
from messaging_processors.runtime import database, web
from messaging_processors.runtime.cache import Cache
from messaging_processors.runtime.connection import KAFKA
from messaging_processors.runtime.errors import Away, SchemaTooNew
from messaging_processors.runtime.migrating import ensure_schema
from messaging_processors.runtime.process import Runtime
from messaging_processors.runtime.publishing import Publisher
from messaging_processors.runtime.watching import reporting, watch


class Database:
    """The database as its watch sees it: migrated once, then asked whether it is there."""

    def __init__(self, engine: Engine, runtime: Runtime) -> None:
        self._engine = engine
        self._runtime = runtime
        self._migrated = False
        self.refusal: SchemaTooNew | None = None
        """Why this process must end; it is told to."""

    def probe(self) -> None:
        """Raises `Away`, also for a database that is not for this process: then nobody uses it until the end."""
        if not self._migrated:
            self._migrate()
        database.probe(self._engine)

    def _migrate(self) -> None:
        try:
            ensure_schema(self._engine)
        except SchemaTooNew as error:
            self.refusal = error
            self._runtime.shutdown.set()
            raise Away(database.DATABASE, str(error)) from error
        self._migrated = True


def run(config: MessagingConfig, runtime: Runtime) -> None:
    """Serves until the process is told to stop; what was handed to Kafka by then is delivered.

    Raises `SchemaTooNew` in the end, beside a database that is not for it.
    """
    engine = database.connect(runtime.secrets.database_url)
    store = Database(engine, runtime)
    cache = Cache(runtime.secrets.cache_url, seconds(config.cache_ttl), runtime.health)
    topics = {*config.routes.values(), *(domain.topic for domain in config.domains.values())}
    publisher = Publisher(config.bootstrap_servers, sorted(topics), runtime.health)
    accounts = Accounts(engine, cache, runtime.health)
    watch(runtime, reporting(runtime.health, database.DATABASE, store.probe))
    watch(runtime, reporting(runtime.health, KAFKA, publisher.probe))
    watch(runtime, cache.probe)
    watch(runtime, accounts.tell_untold)
    keep_sweeping(Sweeper(engine, config.retention, runtime.health), runtime)
    threads = StoreThreads()
    messages = Messages(engine, cache, runtime.health, config.retention)
    repeats = Repeats(engine, cache, runtime.health)
    intake = Intake(config, accounts, repeats, publisher, threads)
    app = create_app(
        MessageApi(config, intake, messages, publisher, threads),
        AccountApi(config, accounts, Ledger(engine, runtime.health), threads),
        ErasureApi(Erasures(engine, cache, runtime.health), threads),
    )
    web.serve(app, runtime)
    publisher.close()
    if store.refusal:
        raise store.refusal
