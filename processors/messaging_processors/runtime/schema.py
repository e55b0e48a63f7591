"""The database's tables; `database.ensure_schema` creates them, be-messaging and the sinks use them."""

from sqlalchemy import BigInteger, Column, DateTime, MetaData, String, Table, Text, Uuid, func

metadata = MetaData()

accounts = Table(
    "accounts",
    metadata,
    Column("id", String, primary_key=True),
    Column("billing_type", String, nullable=False),
)

messages = Table(
    "messages",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", String, nullable=False),
    Column("billing_type", String, nullable=False),
    Column("domain", String, nullable=False),
    Column("recipient", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("amount_micros", BigInteger, nullable=False, comment="Millionths of `currency`; money is never a float."),
    Column("currency", String, nullable=False),
    Column("state", String, nullable=False),
    Column("accepted_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
