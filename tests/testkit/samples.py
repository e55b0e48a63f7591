"""Messages as they lie in topics, for tests of billing and sinks. Names and numbers are invented."""

from datetime import UTC, datetime
from uuid import uuid4

from messaging_api.message import AcceptedMessage, BilledMessage, BillingOutcome, Charge
from messaging_api.processor import BillingConfig, SinkConfig
from messaging_api.tariff import Tariff
from messaging_api.topology import BillingType, ThirdParty

DOMAINS = ["marketing", "authentication"]
TENANT = "shop"


def an_accepted_message(
    account: str = "account-1",
    domain: str = "marketing",
    billing_type: BillingType = BillingType.POSTPAID,
    body: str = "Hello",
) -> AcceptedMessage:
    return AcceptedMessage(
        id=uuid4(),
        tenant=TENANT,
        account_id=account,
        billing_type=billing_type,
        domain=domain,
        to="+12025550123",
        body=body,
        accepted_at=datetime.now(UTC),
    )


def a_billed_message(
    account: str = "account-1", body: str = "Hello", outcome: BillingOutcome = BillingOutcome.CHARGED
) -> BilledMessage:
    accepted = dict(an_accepted_message(account, body=body))
    charge = Charge(amount="0.0075" if outcome is BillingOutcome.CHARGED else "0", currency="USD")
    return BilledMessage(**accepted, outcome=outcome, segments=1, charge=charge)


def a_billing_config(
    domain: str = "marketing",
    bootstrap_servers: str = "kafka:9092",
    prefix: str = "",
    unrouted: tuple[str, ...] = (),
    tariff: Tariff | None = None,
) -> BillingConfig:
    """Billing of `domain`, from postpaid and prepaid to the topic of that name; `prefix` comes before all topics."""
    return BillingConfig(
        topology="user-api",
        namespace="messaging",
        processor=f"billing-{domain}",
        bootstrap_servers=bootstrap_servers,
        group_id=f"{prefix}messaging.user-api.billing-{domain}",
        inputs=[f"{prefix}postpaid", f"{prefix}prepaid"],
        domain=domain,
        domains=DOMAINS,
        unrouted=[f"{prefix}{topic}" for topic in unrouted],
        output=f"{prefix}{domain}",
        tariff=tariff or Tariff(currency="USD", per_message="0.0075"),
        dead_letter_topic=f"{prefix}billing-{domain}.dlq",
    )


def a_sink_config(
    bootstrap_servers: str = "kafka:9092",
    prefix: str = "",
    third_party: str = "http://127.0.0.1:9",
    timeout: str = "15s",
) -> SinkConfig:
    """A sink of the topic marketing."""
    return SinkConfig(
        topology="user-api",
        namespace="messaging",
        processor="marketing",
        bootstrap_servers=bootstrap_servers,
        group_id=f"{prefix}messaging.user-api.marketing",
        inputs=[f"{prefix}marketing"],
        third_party=ThirdParty(url=third_party, timeout=timeout, max_in_flight=8),
        cache_ttl="1h",
        dead_letter_topic=f"{prefix}marketing.dlq",
    )
