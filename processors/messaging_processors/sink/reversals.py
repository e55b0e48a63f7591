"""Pays back what was charged for messages that never arrive; `store` calls it inside its transaction.

Whether there is something to pay back is written in the charge's own ledger entry and nowhere else. A charge is
reversed once for ever, because the reversal's id follows from the message's. Locks: the accounts in the order of tenant
and id, as billing takes them, then the ledger.
"""

from collections.abc import Mapping
from uuid import UUID, uuid5

from sqlalchemy import Connection, text

from messaging_api.account import EntryKind
from messaging_api.message import MessageState

ENDS_UNDELIVERED = (MessageState.DEAD_LETTERED, MessageState.EXPIRED, MessageState.FAILED)

_LOCK_ACCOUNTS = text(
    "SELECT 1 FROM accounts WHERE (tenant, id) IN ("
    "SELECT tenant, account_id FROM ledger_entries"
    f" WHERE id = ANY(CAST(:ids AS uuid[])) AND kind = '{EntryKind.CHARGE}' AND refundable = 1"
    ") ORDER BY tenant, id FOR UPDATE"
)
# One after the other within an account, so that each entry has the balance after it; the locks keep others out.
_REVERSE = text(
    f"""
    WITH due AS (
        SELECT ended.reversal_id, ended.state, charge.*
        FROM unnest(CAST(:ids AS uuid[]), CAST(:reversal_ids AS uuid[]), CAST(:states AS text[]))
            AS ended(id, reversal_id, state)
        JOIN ledger_entries charge ON charge.id = ended.id
        WHERE charge.kind = '{EntryKind.CHARGE}' AND charge.refundable = 1
            AND NOT EXISTS (SELECT FROM ledger_entries WHERE id = ended.reversal_id)
    ), reversed AS (
        INSERT INTO ledger_entries (id, tenant, account_id, kind, message_id, domain, billing_type, amount_micros,
            currency, balance_micros, segments, free_segments, refundable, reason)
        SELECT due.reversal_id, due.tenant, due.account_id, '{EntryKind.REVERSAL}', due.message_id, due.domain,
            due.billing_type, -due.amount_micros, due.currency, accounts.balance_micros - sum(due.amount_micros)
                OVER (PARTITION BY due.tenant, due.account_id ORDER BY due.id),
            0, 0, 0, due.state
        FROM due JOIN accounts ON accounts.tenant = due.tenant AND accounts.id = due.account_id
        ORDER BY due.id
        ON CONFLICT DO NOTHING
        RETURNING tenant, account_id, amount_micros
    )
    UPDATE accounts SET balance_micros = accounts.balance_micros + paid.back
    FROM (SELECT tenant, account_id, sum(amount_micros) AS back FROM reversed GROUP BY tenant, account_id) paid
    WHERE accounts.tenant = paid.tenant AND accounts.id = paid.account_id
    """
)


def reversal_id(message_id: UUID) -> UUID:
    """The id of the one reversal that a message's charge can have (RFC 9562, version 5)."""
    return uuid5(message_id, EntryKind.REVERSAL)


def reverse(connection: Connection, ended: Mapping[UUID, MessageState]) -> None:
    """Gives back what these cost, where that is promised and not done yet; two statements, however many they are."""
    ids = sorted(ended)
    connection.execute(_LOCK_ACCOUNTS, {"ids": ids})
    reversal_ids = [reversal_id(key) for key in ids]
    states = [ended[key].value for key in ids]
    connection.execute(_REVERSE, {"ids": ids, "reversal_ids": reversal_ids, "states": states})
