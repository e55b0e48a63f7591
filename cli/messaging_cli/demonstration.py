"""`mtop up --demo`: sample traffic through a local run, and whether all of it came to an end."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from messaging_cli.balance import balance, table
from messaging_cli.gateway import Gateway
from messaging_cli.local.state import LocalRun
from messaging_cli.mix import mix_for
from messaging_cli.output import console
from messaging_cli.report import picture, report
from messaging_cli.rows import Rows
from messaging_cli.sending import SETTLE_SECONDS, DeadLetters, Load, Sent, Settled, always, send_mix, settle
from messaging_cli.sources import read_file


def demonstrate(
    run: LocalRun,
    seconds: float,
    rate: float,
    dead_letters: DeadLetters = frozenset,
    go_on: Callable[[], bool] = always,
) -> bool:
    """Sends for `seconds`, waits until all is settled, prints the table; the last line is the sum, for programs.

    True if something was accepted and all of it balances. `dead_letters` reads the ids in the run's dead-letter topics;
    when `go_on` says no, what is known by then is shown. May be called from any thread.
    """
    mix = mix_for(read_file(Path(run.file)).topology, run.file)
    rows = Rows(run.database_url)
    clock_offset = rows.clock_offset()
    load = Load(rate, round(rate * seconds), seconds)
    sent = send_mix(Gateway(run.gateway_url, run.api_key), mix, load, go_on)
    settled = settle(sent.ids, rows.read, dead_letters, SETTLE_SECONDS, go_on)
    console.print(picture(report(sent.answers, sent.seconds, settled.rows, clock_offset)))
    return show_balance(sent, settled)


def show_balance(sent: Sent, settled: Settled) -> bool:
    """Prints the table by domain and the sum as the last line; true if something was accepted and it balances."""
    by_domain = defaultdict[str, list[str]](list)
    for answer in sent.answers:
        by_domain[answer.domain] += [answer.id] if answer.accepted else []
    states, dead = settled.states, settled.dead_letters
    total = balance(sent.ids, states, dead)
    console.print(table({domain: balance(ids, states, dead) for domain, ids in sorted(by_domain.items())}, total))
    print(total.line())
    return total.balances and total.accepted > 0
