"""`mtop send`: realistic traffic at a steady rate; tells how it was answered and how long it took to a row."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from messaging_api.base import Money
from messaging_cli.errors import CliError
from messaging_cli.mix import Mix, mix_for, read_mix
from messaging_cli.output import Format, Output, emit
from messaging_cli.report import Report, picture, report
from messaging_cli.rows import Rows
from messaging_cli.sending import SETTLE_SECONDS, TOP_UP, Load, send_mix, settle
from messaging_cli.sources import read_file
from messaging_cli.target import ApiKey, DatabaseUrl, GatewayUrl, Target, find

MOST = 200_000
"""Every answer is kept, some hundred bytes each."""


def send(
    name: Annotated[str | None, typer.Argument(help="A topology that runs here; none is needed if one runs.")] = None,
    rate: Annotated[float, typer.Option(min=0.1, max=10_000, help="Messages a second.")] = 50,
    count: Annotated[int, typer.Option(min=1, max=MOST, help="How many messages.")] = 1000,
    mix: Annotated[Path | None, typer.Option(help="What to send; without, all domains of the topology alike.")] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the last rows.")] = SETTLE_SECONDS,
    top_up: Annotated[
        str, typer.Option(help="What each prepaid account gets before, in its currency; 0 is nothing.")
    ] = TOP_UP,
    gateway: GatewayUrl = None,
    api_key: ApiKey = None,
    database: DatabaseUrl = None,
    output: Output = Format.TABLE,
) -> None:
    """Send sample traffic through the gateway: answers by status, latencies from POST to 202 and to the row."""
    target = find(name, gateway, api_key, database)
    done = _sent(target, _mix(mix, target), Load(rate, count), wait, _money(top_up))
    emit(done.document(), output, lambda: picture(done))
    if not done.post_to_202:
        status, said = next(iter(done.refusals.items()))
        raise CliError(f"none of {done.messages} messages was accepted by {target.gateway.url}: {status}: {said}")


def _mix(file: Path | None, target: Target) -> Mix:
    if file:
        return read_mix(file)
    if not target.run:
        raise CliError("say what to send: --mix FILE, for example examples/traffic.yaml")
    return mix_for(read_file(Path(target.run.file)).topology, target.run.file)


def _money(amount: str) -> Money:
    try:
        return TypeAdapter[Money](Money).validate_python(amount)
    except ValidationError as error:
        raise CliError(f"--top-up: {amount!r} is not a decimal such as 100.50") from error


def _sent(target: Target, mix: Mix, load: Load, wait: float, top_up: Money) -> Report:
    rows = Rows(target.database_url) if target.database_url else None
    clock_offset = rows.clock_offset() if rows else 0  # before anything is sent: an absent database is told at once
    sent = send_mix(target.gateway, mix, load, top_up=top_up)
    found = settle(sent.ids, rows.read, frozenset, wait).rows if rows else None
    return report(sent.answers, sent.seconds, found, clock_offset)
