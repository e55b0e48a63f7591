"""What becomes of a record: charged, dead-lettered, or nobody's business here. Called by `main`.

Promise: of all billing processors of a topic exactly one answers for a record, whatever the record looks like.
"""

from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from messaging_api.message import CHARGED_TYPE, DOMAIN_HEADER, ID_HEADER, TRACE_HEADER, AcceptedMessage, ChargedMessage
from messaging_api.processor import BillingConfig
from messaging_processors.billing.rating import charge
from messaging_processors.runtime.records import Failure, Headers, Outgoing, Record, dead_letter, explain, header


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to write for a record; `error` names what is wrong with it where that is a dead letter."""

    outgoing: Outgoing
    error: str = ""


def handle(record: Record, config: BillingConfig, now: datetime) -> Outcome | None:
    """The outcome of one record, None when it is another processor's.

    The header decides, before the value is parsed: most records are of other domains.
    """
    domain = (header(record.headers, DOMAIN_HEADER) or b"").decode(errors="replace")
    if domain == config.domain:
        return _charged(record, config, now)
    if domain in config.domains or record.topic not in config.unrouted:
        return None
    return _poison(record, config, now, "UnknownDomain", "the domain header is missing, doubled or not declared")


def _charged(record: Record, config: BillingConfig, now: datetime) -> Outcome:
    try:
        accepted = AcceptedMessage.model_validate_json(record.value or b"")
    except ValidationError as error:
        return _poison(record, config, now, "InvalidMessage", explain(error))
    if accepted.domain != config.domain:
        return _poison(record, config, now, "WrongDomain", f"header {config.domain}, value {accepted.domain}")
    charged = ChargedMessage(**dict(accepted), charge=charge(config.tariff))
    value = charged.model_dump_json().encode()
    return Outcome(
        Outgoing(config.output, charged.account_id.encode(), value, _headers(charged, record.headers, config, now))
    )


def _headers(message: ChargedMessage, received: Headers, config: BillingConfig, now: datetime) -> Headers:
    event = {
        "ce_specversion": "1.0",
        ID_HEADER: str(message.id),
        "ce_type": CHARGED_TYPE,
        "ce_source": f"/{config.namespace}/{config.topology}/{config.processor}",
        "ce_time": now.isoformat(),
        "content-type": "application/json",
        DOMAIN_HEADER: message.domain,
    }
    trace = header(received, TRACE_HEADER)
    return tuple((name, text.encode()) for name, text in event.items()) + (((TRACE_HEADER, trace),) if trace else ())


def _poison(record: Record, config: BillingConfig, now: datetime, error: str, why: str) -> Outcome:
    failure = Failure(error, why, first_failed_at=now, last_failed_at=now)
    return Outcome(dead_letter(record, failure, config.dead_letter_topic, config.processor), error)
