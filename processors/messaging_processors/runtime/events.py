"""Our records' headers, pure: the CloudEvents Kafka binding in binary mode, the domain, and the caller's trace."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from messaging_api.base import Domain
from messaging_api.message import DOMAIN_HEADER, ID_HEADER, TRACE_HEADER, TYPE_HEADER
from messaging_processors.runtime.records import Headers


@dataclass(frozen=True)
class Event:
    """What a record's headers say; the source is the processor that writes it."""

    id: UUID
    type: str
    source: str
    time: datetime
    domain: Domain
    trace: bytes | None = None

    @property
    def headers(self) -> Headers:
        """As they go to Kafka."""
        texts = {
            "ce_specversion": "1.0",
            ID_HEADER: str(self.id),
            TYPE_HEADER: self.type,
            "ce_source": self.source,
            "ce_time": self.time.isoformat(),
            "content-type": "application/json",
            DOMAIN_HEADER: self.domain,
        }
        trace = ((TRACE_HEADER, self.trace),) if self.trace else ()
        return tuple((name, text.encode()) for name, text in texts.items()) + trace
