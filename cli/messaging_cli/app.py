"""`mtop`, also `kubectl mtop`: parses the command line, calls a command, turns errors into one line. Wiring only.

Exit codes: 0 done or no changes, 2 changes are pending (`plan`), 1 anything that went wrong, wrong usage included.
"""

import sys
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from messaging_cli.commands import accounts, dlq, graph, plan, send, status, up, validate
from messaging_cli.errors import CliError

app = typer.Typer(
    name="mtop",
    help="A whole messaging topology: run it here, see what an apply would change, watch it, send to it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(up.up)
app.command()(up.down)
app.command()(plan.plan)
app.command()(validate.validate)
app.command()(graph.graph)
app.command()(status.status)
app.add_typer(dlq.app, name="dlq")
app.command()(send.send)
app.add_typer(accounts.app, name="accounts")


def run(arguments: Sequence[str]) -> int:
    """The exit code; errors have been told on stderr."""
    try:
        return int(get_command(app)(list(arguments), prog_name="mtop", standalone_mode=False) or 0)
    except TyperException as error:
        wrong = error.format_message()  # empty where the help was printed instead
        return _failed(f"{wrong} See mtop --help.") if wrong else 1
    except CliError as error:
        return _failed(str(error))
    except (KeyboardInterrupt, typer.Abort):
        return 130


def main() -> None:
    """The entry point of the installed commands."""
    sys.exit(run(sys.argv[1:]))


def _failed(message: str) -> int:
    print(f"mtop: {message}", file=sys.stderr)
    return 1
