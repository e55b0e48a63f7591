"""`mtop accounts`: accounts, what they hold and what moved it, over the gateway's HTTP API."""

from collections.abc import Sequence
from typing import Annotated, TypeVar
from uuid import uuid4

import typer
from pydantic import BaseModel, ValidationError
from rich.table import Table

from messaging_api.account import AccountRequest, AccountView, LedgerEntry, TopUpRequest
from messaging_api.topology import BillingType
from messaging_cli.errors import CliError
from messaging_cli.output import Format, Output, emit
from messaging_cli.target import ApiKey, GatewayUrl, find

app = typer.Typer(help="Accounts: how they pay, what they hold, what moved it.", no_args_is_help=True)

M = TypeVar("M", bound=BaseModel)
Account = Annotated[str, typer.Argument(help="The account's id.")]
Run = Annotated[str | None, typer.Option("--run", help="A topology that runs here; none is needed if one runs.")]


@app.command()
def put(
    account: Account,
    billing_type: Annotated[BillingType, typer.Option(help="How the account pays, from the next message on.")],
    currency: Annotated[str | None, typer.Option(help="May be left out where the topology has only one.")] = None,
    credit_limit: Annotated[str | None, typer.Option(help="How far a postpaid account may owe; without, any.")] = None,
    run: Run = None,
    gateway: GatewayUrl = None,
    api_key: ApiKey = None,
    output: Output = Format.TABLE,
) -> None:
    """Create an account, or change how it pays."""
    request = _request(AccountRequest, billing_type=billing_type, currency=currency, credit_limit=credit_limit)
    (view,) = find(run, gateway, api_key).gateway.put_accounts({account: request})
    _show(view, output)


@app.command()
def get(
    account: Account,
    run: Run = None,
    gateway: GatewayUrl = None,
    api_key: ApiKey = None,
    output: Output = Format.TABLE,
) -> None:
    """Tell how an account pays and what it holds."""
    _show(find(run, gateway, api_key).gateway.account(account), output)


@app.command("top-up")
def top_up(
    account: Account,
    amount: Annotated[str, typer.Argument(help="What to add, a decimal.")],
    currency: Annotated[str, typer.Argument(help="The account's own, an ISO 4217 code.")],
    key: Annotated[str | None, typer.Option(help="Of an earlier try, to repeat it: it adds once.")] = None,
    run: Run = None,
    gateway: GatewayUrl = None,
    api_key: ApiKey = None,
    output: Output = Format.TABLE,
) -> None:
    """Add to an account's balance, once for each key, however often it is repeated."""
    request = _request(TopUpRequest, amount=amount, currency=currency)
    key = key or str(uuid4())
    there = find(run, gateway, api_key).gateway
    typer.echo(f"Idempotency-Key: {key} (if this fails: repeat with --key {key})", err=True)
    entry = there.top_up(account, request, key)
    emit(entry.model_dump(mode="json"), output, lambda: _ledger_table([entry]))


@app.command()
def ledger(
    account: Account,
    after: Annotated[int, typer.Option(min=0, help="Only what comes after that entry.")] = 0,
    run: Run = None,
    gateway: GatewayUrl = None,
    api_key: ApiKey = None,
    output: Output = Format.TABLE,
) -> None:
    """List what moved an account's balance, and what was refused, oldest first."""
    entries = list(find(run, gateway, api_key).gateway.ledger(account, after))
    emit([entry.model_dump(mode="json") for entry in entries], output, lambda: _ledger_table(entries))


def _request(model: type[M], **fields: object) -> M:
    """Raises `CliError` that names what was typed."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        field = str(fault["loc"][0]).replace("_", "-")
        raise CliError(f"{field}: {fault['input']!r}: {fault['msg']}") from error


def _show(view: AccountView, output: Format) -> None:
    emit(view.model_dump(mode="json"), output, lambda: _picture(view))


def _picture(view: AccountView) -> Table:
    table = Table("account", "billing type", "currency", "balance", "credit limit")
    limit = "" if view.billing_type is BillingType.PREPAID else view.credit_limit or "none"
    table.add_row(view.id, view.billing_type, view.currency, view.balance, limit)
    return table


def _ledger_table(entries: Sequence[LedgerEntry]) -> Table:
    """What it was for: the message's domain, or why it was refused."""
    table = Table("entry", "recorded (UTC)", "kind", "amount", "balance", "segments", "for", "message")
    for name in ("amount", "balance", "segments"):
        next(column for column in table.columns if column.header == name).justify = "right"
    for entry in entries:
        free = f" ({entry.free_segments} free)" if entry.free_segments else ""
        what = ": ".join(filter(None, (entry.domain, entry.reason)))
        table.add_row(
            str(entry.sequence),
            f"{entry.recorded_at:%Y-%m-%d %H:%M:%S}",
            entry.kind,
            f"{entry.amount} {entry.currency}",
            entry.balance,
            f"{entry.segments}{free}" if entry.segments else "",
            what,
            str(entry.message_id or ""),
        )
    return table
