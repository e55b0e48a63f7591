"""One JSON object a line on stderr, kopf's own lines included. Called once by `handlers` at start."""

import logging

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import Processor

_SHARED: list[Processor] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso"),
    structlog.processors.format_exc_info,
]
# A line for every probe and for every event of the API server would bury the others.
_CHATTER = ("aiohttp.access", "httpx", "kopf.activities.probe", "kopf.objects")


def configure() -> None:
    """Takes over the handlers that kopf's command line has set up by then."""
    formatter = ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
    )
    for handler in logging.getLogger().handlers:
        handler.setFormatter(formatter)
    for chatter in _CHATTER:
        logging.getLogger(chatter).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*_SHARED, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
