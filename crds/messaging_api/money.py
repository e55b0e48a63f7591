"""Money as the database and the wire have it: BIGINT millionths of a currency's unit, and exact decimal text.

Whoever rates computes with `Decimal` and rounds once, by `micros`.
"""

from decimal import ROUND_HALF_EVEN, Decimal

_DIGITS = 6


def micros(amount: Decimal | str) -> int:
    """`"0.0075"` → 7500; what lies between two millionths goes to the even one."""
    return int(Decimal(amount).scaleb(_DIGITS).quantize(Decimal(1), ROUND_HALF_EVEN))


def amount(micros: int) -> str:
    """7500 → `"0.0075"`, -1000000 → `"-1"`."""
    text = f"{Decimal(micros).scaleb(-_DIGITS):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
