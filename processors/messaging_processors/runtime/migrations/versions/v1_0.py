"""Tenants, accounts, the ledger, messages.

A revision is named `major.minor`. A minor one only adds (expand): older processors go on working beside newer ones.
What takes something away (contract) is a major one, and comes a release after the last processor that used it.
"""

import sqlalchemy as sa
from alembic import op

revision = "1.0"
down_revision = None

_NOW = sa.text("now()")


def _text(name: str, nullable: bool = False) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=nullable)


def _number(name: str, default: str | None = "0") -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger, nullable=default is None, server_default=default)


def _time(name: str) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=_NOW)


def upgrade() -> None:
    op.create_table("tenants", _text("id"), _time("created_at"), sa.PrimaryKeyConstraint("id"))
    op.create_table(
        "accounts",
        _text("tenant"),
        _text("id"),
        _text("billing_type"),
        _text("currency"),
        _number("balance_micros"),
        _number("credit_limit_micros", None),
        _time("created_at"),
        sa.PrimaryKeyConstraint("tenant", "id"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"]),
    )
    op.create_table(
        "free_segments",
        *(_text(name) for name in ("tenant", "account_id", "domain")),
        sa.Column("month", sa.Date),
        sa.Column("used", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "account_id", "domain", "month"),
        sa.ForeignKeyConstraint(["tenant", "account_id"], ["accounts.tenant", "accounts.id"]),
    )
    _ledger()
    _messages()
    op.create_table(
        "erasures",
        _text("tenant"),
        sa.Column("recipient_hash", sa.LargeBinary),
        _time("requested_at"),
        sa.PrimaryKeyConstraint("tenant", "recipient_hash"),
    )
    op.create_table(
        "transactional_ids",
        _text("group_id"),
        _text("topic"),
        sa.Column("partition", sa.Integer),
        _text("transactional_id"),
        sa.PrimaryKeyConstraint("group_id", "topic", "partition"),
    )


def _ledger() -> None:
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("sequence", sa.BigInteger, sa.Identity(always=True), nullable=False),
        *(_text(name) for name in ("tenant", "account_id", "kind")),
        sa.Column("message_id", sa.Uuid),
        *(_text(name, nullable=True) for name in ("domain", "billing_type")),
        _number("amount_micros"),
        _text("currency"),
        _number("balance_micros"),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("segments", "free_segments", "refundable")),
        _text("reason"),
        sa.Column("payload_hash", sa.LargeBinary),
        _text("source_topic", nullable=True),
        sa.Column("source_partition", sa.Integer),
        sa.Column("source_offset", sa.BigInteger),
        _time("recorded_at"),
        sa.ForeignKeyConstraint(["tenant", "account_id"], ["accounts.tenant", "accounts.id"]),
    )
    op.create_index("ledger_of_an_account", "ledger_entries", ["tenant", "account_id", "sequence"], unique=True)


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", sa.Uuid, primary_key=True),
        *(_text(name) for name in ("tenant", "account_id", "billing_type", "domain", "recipient", "body")),
        _number("amount_micros"),
        *(_text(name) for name in ("currency", "state")),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        _time("accepted_at"),
        _time("updated_at"),
    )
    op.create_index("messages_to_a_subscriber", "messages", ["tenant", "recipient"])
    op.create_index("messages_by_age", "messages", ["accepted_at"])
    not_erased = sa.text("recipient <> ''")  # what retention of bodies has done already costs it nothing
    op.create_index("messages_to_erase", "messages", ["accepted_at"], postgresql_where=not_erased)


def downgrade() -> None:
    """There is no way back from the first one: it would take the ledger away."""
    raise NotImplementedError("restore a backup")
