"""What a command answers on stdout: a table for people, JSON or YAML for programs."""

import json
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer
import yaml
from rich.console import Console, RenderableType
from rich.text import Text

console = Console()


class Format(StrEnum):
    """How to print an answer."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


Output = Annotated[Format, typer.Option("--output", "-o", help="How to print the answer.")]


def emit(answer: object, form: Format, picture: Callable[[], RenderableType]) -> None:
    """Prints `answer`, plain data, in the form that was asked for; `picture` is its table."""
    if form is Format.TABLE:
        shown = picture()
        console.print(shown, soft_wrap=isinstance(shown, Text))  # lines are for grep, too: none is cut or wrapped
    elif form is Format.JSON:
        print(json.dumps(answer, indent=2))
    else:
        print(yaml.safe_dump(answer, sort_keys=False), end="")
