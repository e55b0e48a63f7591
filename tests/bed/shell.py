"""Commands: every other module of the bed runs programs through here.

Promises: a failing command ends in a CliError that names it and shows its last lines; a program
that is missing is installed from Debian where we may, else the error says what to install.
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from messaging_cli.errors import CliError
from messaging_cli.local.saying import step

LAST_LINES = 15


def run(
    *command: str | Path,
    stdin: str | None = None,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    timeout: float | None = None,
) -> str:
    """Runs one command to its end and returns what it printed."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            cwd=cwd,
            env=os.environ | (env or {}),
            timeout=timeout,
            text=True,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise CliError(f"{words[0]} is missing: install it, then repeat") from error
    except subprocess.TimeoutExpired as error:
        raise CliError(f"{' '.join(words[:6])}: no answer within {timeout:.0f} s") from error
    if done.returncode:
        raise CliError(failure(words, done.returncode, done.stdout + done.stderr))
    return done.stdout


def pipe(source: Sequence[str | Path], target: Sequence[str | Path]) -> None:
    """`source | target`; either one's failure is a failure."""
    first, second = (shlex.join(map(str, command)) for command in (source, target))
    run("bash", "-o", "pipefail", "-c", f"{first} | {second}")


def failure(words: list[str], code: int, output: str) -> str:
    tail = "\n".join(output.strip().splitlines()[-LAST_LINES:])
    return f"{' '.join(words[:6])}: exit code {code}\n{tail}"


def succeeds(*command: str | Path, timeout: float | None = None) -> bool:
    try:
        run(*command, timeout=timeout)
    except CliError:
        return False
    return True


def require(program: str, package: str) -> None:
    """Makes sure that `program` can be run: installs the Debian package that brings it."""
    if shutil.which(program):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise CliError(f"{program} is missing: install it ({package} on Debian), then repeat")
    with step(f"apt-get install {package}"):
        quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        run("apt-get", "update", "-qq", env=quiet)
        run(
            *("apt-get", "install", "-y", "--no-install-recommends"),
            # Files that the machine's owner changed stay as they are, without a question.
            *("-o", "Dpkg::Options::=--force-confold", *package.split()),
            env=quiet,
        )
