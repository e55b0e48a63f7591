"""The endpoints of accounts: how they pay, what they hold, what moved it."""

from functools import partial

from messaging_api.account import (
    AccountId,
    AccountRequest,
    AccountView,
    LedgerEntry,
    LedgerPage,
    TopUpRequest,
)
from messaging_api.base import Currency
from messaging_api.message import IDEMPOTENCY_HEADER
from messaging_api.money import micros
from messaging_api.processor import MessagingConfig
from messaging_processors.messaging.accounts import AccountChange, Accounts, CurrencyFixed, Terms
from messaging_processors.messaging.ledger import (
    BalanceTooLarge,
    Ledger,
    NoSuchAccount,
    OtherCurrency,
    OtherTopUp,
    TopUp,
    TopUpError,
)
from messaging_processors.messaging.parameters import (
    AccountIdInPath,
    AccountKeeper,
    After,
    Key,
    Limit,
    Payer,
)
from messaging_processors.messaging.storing import StoreThreads
from messaging_processors.runtime.problems import ProblemError

_CHANGE_UNKNOWN = "The database did not answer in time: the account may have changed, or not. Ask, or send it again."
_TOP_UP_UNKNOWN = (
    "The database did not answer in time: the balance may be topped up, or not."
    f" Repeat with the same {IDEMPOTENCY_HEADER}: it is added once."
)


class AccountApi:
    """A tenant's accounts."""

    def __init__(self, config: MessagingConfig, accounts: Accounts, ledger: Ledger, threads: StoreThreads) -> None:
        self._currencies = sorted({domain.currency for domain in config.domains.values()})
        self._accounts = accounts
        self._ledger = ledger
        self._threads = threads

    async def put(self, caller: AccountKeeper, account_id: AccountIdInPath, request: AccountRequest) -> AccountView:
        """Creates an account or changes how it pays, from the next message on; no money moves.

        The request replaces what was there: without a credit limit there is none from now on.
        """
        terms = Terms(billing_type=request.billing_type, currency=self._currency(request.currency))
        limit = None if request.credit_limit is None else micros(request.credit_limit)
        change = AccountChange(caller.tenant, account_id, terms, limit)
        try:
            return await self._threads.change(partial(self._accounts.save, change), _CHANGE_UNKNOWN)
        except CurrencyFixed as error:
            detail = f"currency: {error.currency} -> {terms.currency} is no way; take another account"
            raise ProblemError(409, detail, field="currency") from error

    async def get(self, caller: AccountKeeper, account_id: AccountIdInPath) -> AccountView:
        """Tells how an account pays and what it holds."""
        found = await self._threads.run(self._accounts.find, caller.tenant, account_id)
        if found is None:
            raise _no_account(account_id)
        return found

    async def top_up(self, caller: Payer, account_id: AccountIdInPath, request: TopUpRequest, key: Key) -> LedgerEntry:
        """Adds to an account's balance, once for each `Idempotency-Key`: a repeat gets the same entry."""
        top_up = TopUp(caller.tenant, account_id, key, micros(request.amount), request.currency)
        try:
            return await self._threads.change(partial(self._ledger.top_up, top_up), _TOP_UP_UNKNOWN)
        except TopUpError as error:
            raise _refusal(error, top_up) from error

    async def ledger(
        self, caller: AccountKeeper, account_id: AccountIdInPath, after: After = 0, limit: Limit = 100
    ) -> LedgerPage:
        """Everything that moved an account's balance, and what was refused, oldest first."""
        page = await self._threads.run(self._ledger.page, caller.tenant, account_id, after, limit)
        if page is None:
            raise _no_account(account_id)
        return page

    def _currency(self, wanted: Currency | None) -> Currency:
        known = ", ".join(self._currencies) or "none"
        if wanted is None and len(self._currencies) != 1:
            raise ProblemError(422, f"currency: name one of those that this topology charges in: {known}", "currency")
        currency = wanted or self._currencies[0]
        if currency not in self._currencies:
            raise ProblemError(422, f"currency: no domain charges in {currency}, but in: {known}", "currency")
        return currency


def _no_account(account_id: AccountId) -> ProblemError:
    return ProblemError(404, f"There is no account {account_id}; PUT /v1/accounts/{account_id} creates it.")


def _refusal(error: TopUpError, top_up: TopUp) -> ProblemError:
    """What a caller is told of a top-up that is not made."""
    match error:
        case OtherTopUp():
            detail = (
                f"{IDEMPOTENCY_HEADER}: another top-up was made under this key; repeat that one, or take a new key."
            )
            return ProblemError(409, detail, field=IDEMPOTENCY_HEADER)
        case OtherCurrency():
            detail = f"currency: the account is in {error.currency}, not in {top_up.currency}"
            return ProblemError(422, detail, field="currency")
        case BalanceTooLarge():
            return ProblemError(422, "amount: the balance would become too large", field="amount")
        case NoSuchAccount():
            return _no_account(top_up.account_id)
    raise error
