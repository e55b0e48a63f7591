"""What ends a command: one line that says what is wrong and what to do, and exit code 1."""


class CliError(Exception):
    """Something that the person in front of the terminal has to know; the message says what to do."""
