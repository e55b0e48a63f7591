"""`mtop accounts put|get`: accounts over the gateway's HTTP API."""

from typing import Annotated

import typer
from rich.table import Table

from messaging_api.message import AccountView
from messaging_api.topology import BillingType
from messaging_cli.output import Format, Output, emit
from messaging_cli.target import ApiKey, GatewayUrl, find

app = typer.Typer(help="Accounts and how they pay, over the gateway's HTTP API.", no_args_is_help=True)

Account = Annotated[str, typer.Argument(help="The account's id.")]
Run = Annotated[str | None, typer.Option("--run", help="A topology that runs here; none is needed if one runs.")]


@app.command()
def put(
    account: Account,
    billing_type: Annotated[BillingType, typer.Option(help="How the account pays, from the next message on.")],
    run: Run = None,
    gateway: GatewayUrl = None,
    api_key: ApiKey = None,
    output: Output = Format.TABLE,
) -> None:
    """Create an account, or change how it pays."""
    (view,) = find(run, gateway, api_key).gateway.put_accounts({account: billing_type})
    _show(view, output)


@app.command()
def get(
    account: Account,
    run: Run = None,
    gateway: GatewayUrl = None,
    api_key: ApiKey = None,
    output: Output = Format.TABLE,
) -> None:
    """Tell how an account pays."""
    _show(find(run, gateway, api_key).gateway.account(account), output)


def _show(view: AccountView, output: Format) -> None:
    emit(view.model_dump(mode="json"), output, lambda: _picture(view))


def _picture(view: AccountView) -> Table:
    table = Table("account", "billing type")
    table.add_row(view.id, view.billing_type)
    return table
