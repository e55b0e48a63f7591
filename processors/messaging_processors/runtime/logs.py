"""JSON lines on standard output; `__main__` calls `configure` once.

Keys that every module uses: topology, processor, topic, partition, offset. Never a body, a phone number or a secret.
"""

import logging
import sys
from types import TracebackType

import structlog
from structlog.typing import EventDict, Processor


def configure(topology: str, processor: str) -> None:
    """Our own log lines and those of libraries (warnings and worse) take the same form."""

    def name_the_process(_: object, __: str, event: EventDict) -> EventDict:
        return {"topology": topology, "processor": processor, **event}

    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        name_the_process,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    _adopt_standard_logging(shared)


def _adopt_standard_logging(shared: list[Processor]) -> None:
    formatter = structlog.stdlib.ProcessorFormatter
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        formatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[formatter.remove_processors_meta, structlog.processors.JSONRenderer()],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    sys.excepthook = _log_uncaught


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    structlog.get_logger().critical("ended by an error that nobody expected", exc_info=(kind, error, trace))
