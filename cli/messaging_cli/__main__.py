"""`python -m messaging_cli` is `mtop`."""

from messaging_cli.app import main

main()
