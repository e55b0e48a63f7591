"""A run balances when everything accepted came to an end once, and says where it does not."""

from collections.abc import Collection, Mapping
from io import StringIO

import pytest
from rich.console import Console

from messaging_cli.balance import balance, table

CASES: dict[str, tuple[list[str], Mapping[str, str], Collection[str], str, bool]] = {
    "nothing": ([], {}, (), "accepted=0 charged=0 refused=0 expired=0 sent=0 dead=0", True),
    "all sent": (
        ["a", "b"],
        {"a": "sent", "b": "sent"},
        (),
        "accepted=2 charged=2 refused=0 expired=0 sent=2 dead=0",
        True,
    ),
    "others' rows and dead letters are not ours": (
        ["a"],
        {"a": "sent", "z": "sent"},
        {"y"},
        "accepted=1 charged=1 refused=0 expired=0 sent=1 dead=0",
        True,
    ),
    "refused": (["a"], {"a": "refused"}, (), "accepted=1 charged=0 refused=1 expired=0 sent=0 dead=0", True),
    "expired, before or after the charge": (
        ["a"],
        {"a": "expired"},
        (),
        "accepted=1 charged=0 refused=0 expired=1 sent=0 dead=0",
        True,
    ),
    "what a receipt said later": (
        ["a", "b"],
        {"a": "delivered", "b": "failed"},
        (),
        "accepted=2 charged=2 refused=0 expired=0 sent=2 dead=0",
        True,
    ),
    "dead after the charge": (
        ["a", "b"],
        {"a": "sent", "b": "dead-lettered"},
        {"b"},
        "accepted=2 charged=2 refused=0 expired=0 sent=1 dead=1",
        True,
    ),
    "dead before the charge": (
        ["a", "b"],
        {"a": "sent"},
        {"b"},
        "accepted=2 charged=1 refused=0 expired=0 sent=1 dead=1",
        True,
    ),
    "dead, replayed and sent": (
        ["a"],
        {"a": "sent"},
        {"a"},
        "accepted=1 charged=1 refused=0 expired=0 sent=1 dead=0",
        True,
    ),
    "lost": (["a", "b"], {"a": "sent"}, (), "accepted=2 charged=1 refused=0 expired=0 sent=1 dead=0", False),
    "charged and not sent": (
        ["a", "b"],
        {"a": "sent", "b": "charged"},
        (),
        "accepted=2 charged=2 refused=0 expired=0 sent=1 dead=0",
        False,
    ),
    "a dead letter that its row does not know of": (
        ["a"],
        {"a": "charged"},
        {"a"},
        "accepted=1 charged=1 refused=0 expired=0 sent=0 dead=0",
        False,
    ),
    "two messages of one id": (
        ["a", "a"],
        {"a": "sent"},
        (),
        "accepted=2 charged=1 refused=0 expired=0 sent=1 dead=0",
        False,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_balances_or_does_not(case: str) -> None:
    accepted, states, dead_letters, line, balances = CASES[case]
    found = balance(accepted, states, dead_letters)
    assert found.line() == line
    assert found.balances is balances


def test_the_table_says_which_domain_does_not_balance() -> None:
    states = {"a": "sent", "b": "sent", "c": "dead-lettered"}
    parts = {"marketing": balance("ab", states, ()), "authentication": balance("cd", states, ())}
    output = StringIO()
    Console(file=output, width=100).print(table(parts, balance("abcd", states, ())))
    rows = [line.replace("│", " ").replace("┃", " ").split() for line in output.getvalue().splitlines()]
    assert ["domain", "accepted", "charged", "refused", "expired", "sent", "dead", "balances"] in rows
    assert ["marketing", "2", "2", "0", "0", "2", "0", "yes"] in rows
    assert ["authentication", "2", "1", "0", "0", "0", "1", "no"] in rows
    assert ["all", "4", "3", "0", "0", "2", "1", "no"] in rows
