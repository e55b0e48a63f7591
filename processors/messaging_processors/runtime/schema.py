"""The database's tables as the processors use them; `migrations` makes them, `migrating` calls it.

Money is BIGINT millionths (`messaging_api.money`), never a float. A subscriber's number and text stand in `messages`
alone. Rows of `ledger_entries` are never changed and never removed.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
)

from messaging_api.message import MessageState

metadata = MetaData()

tenants = Table("tenants", metadata, Column("id", String, primary_key=True))

accounts = Table(
    "accounts",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("billing_type", String, nullable=False),
    Column("currency", String, nullable=False),
    Column("balance_micros", BigInteger, nullable=False),
    Column("credit_limit_micros", BigInteger, comment="How far below zero a postpaid balance may fall; NULL: any."),
)

free_segments = Table(
    "free_segments",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("account_id", String, primary_key=True),
    Column("domain", String, primary_key=True),
    Column("month", Date, primary_key=True, comment="The first day, UTC, of the month of acceptance."),
    Column("used", Integer, nullable=False),
)

ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("id", Uuid, primary_key=True, comment="The message's id, but for reversals and top-ups."),
    Column("sequence", BigInteger, nullable=False, comment="Grows with time within an account."),
    Column("tenant", String, nullable=False),
    Column("account_id", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("message_id", Uuid, comment="The message that was charged, refused, expired or reversed."),
    Column("domain", String),
    Column("billing_type", String),
    Column("amount_micros", BigInteger, nullable=False, comment="What it adds to the balance."),
    Column("currency", String, nullable=False),
    Column("balance_micros", BigInteger, nullable=False, comment="After it."),
    Column("segments", Integer, nullable=False),
    Column("free_segments", Integer, nullable=False),
    Column("refundable", Integer, nullable=False, comment="1: reversed if the message never arrives."),
    Column("reason", String, nullable=False),
    Column("payload_hash", LargeBinary, comment="Of what was asked for: a repeat must ask for the same."),
    Column("source_topic", String),
    Column("source_partition", Integer),
    Column("source_offset", BigInteger),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
)

messages = Table(
    "messages",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", String, nullable=False),
    Column("account_id", String, nullable=False),
    Column("billing_type", String, nullable=False),
    Column("domain", String, nullable=False),
    Column("recipient", String, nullable=False, comment="Empty once erased."),
    Column("body", Text, nullable=False, comment="Empty once erased."),
    Column("amount_micros", BigInteger, nullable=False),
    Column("currency", String, nullable=False),
    Column("state", String, nullable=False),
    Column("possibly_sent", Boolean, nullable=False, comment="Somebody else had it in hand; it does not expire."),
    Column("reason", String, nullable=False),
    Column("accepted_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)

TOLD_BY_PROVIDERS = f"'{MessageState.DELIVERED}', '{MessageState.FAILED}'"
"""SQL: the states whose reason is a provider's own words, which may name the subscriber; ours do not."""
REASON_WITHOUT_WORDS = f"CASE WHEN state IN ({TOLD_BY_PROVIDERS}) THEN '' ELSE reason END"
"""SQL: the reason of a message that is erased."""

erasures = Table(
    "erasures",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("recipient_hash", LargeBinary, primary_key=True, comment="SHA-256 of the number."),
    Column("requested_at", DateTime(timezone=True), nullable=False, comment="What was accepted before is erased."),
)

transactional_ids = Table(
    "transactional_ids",
    metadata,
    Column("group_id", String, primary_key=True),
    Column("topic", String, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("transactional_id", String, nullable=False, comment="Whose transactions may hold this partition's offset."),
)
