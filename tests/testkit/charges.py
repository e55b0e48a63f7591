"""What billing left in the database before a sink reads its messages: accounts and the entries of their charges."""

from collections.abc import Sequence

from messaging_api.message import BilledMessage
from messaging_api.money import micros
from testkit.accounts import Accounts

_CHARGE = """
    INSERT INTO ledger_entries (id, tenant, account_id, kind, message_id, domain, billing_type, amount_micros, currency,
        balance_micros, segments, free_segments, refundable, reason)
    SELECT :id, tenant, id, 'charge', :id, :domain, billing_type, -:price, currency, balance_micros - :price,
        1, 0, :refundable, '' FROM accounts WHERE tenant = :tenant AND id = :account
"""
_PAY = "UPDATE accounts SET balance_micros = balance_micros - :price WHERE tenant = :tenant AND id = :account"


def charge(accounts: Accounts, *refundable: BilledMessage, for_good: Sequence[BilledMessage] = ()) -> None:
    """Every message has cost its account, which begins with nothing, its charge."""
    messages = [*refundable, *for_good]
    accounts.register(*{message.account_id for message in messages})
    for message in messages:
        owner = {"tenant": message.tenant, "account": message.account_id, "price": micros(message.charge.amount)}
        is_refundable = int(message not in for_good)
        accounts.execute(_CHARGE, **owner, id=message.id, domain=message.domain, refundable=is_refundable)
        accounts.execute(_PAY, **owner)


def reversed_messages(accounts: Accounts, account: str) -> list[tuple[object, str]]:
    """Messages whose charge was paid back, and why."""
    entries = [entry for entry in accounts.ledger(account) if entry.kind == "reversal"]
    return [(entry.message_id, entry.reason) for entry in entries]


def adds_up(accounts: Accounts, account: str) -> bool:
    """Whether every entry has the balance after it, and the account the last one's: it began with nothing."""
    balance = 0
    for entry in accounts.ledger(account):
        balance += entry.amount_micros
        if entry.balance_micros != balance:
            return False
    return micros(accounts.balance(account)) == balance
