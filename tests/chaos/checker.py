"""The oracle: everything that is wrong with a world that has come to rest. Pure.

Give it what `observing.observe` has seen after `World.quiesce`; an empty list means that every promise was kept.
"""

from collections.abc import Callable, Iterator

from chaos.checks import acceptance, delivery, logs, money, topics
from chaos.observed import Observed
from chaos.violations import Check, Violation

CHECKS: dict[Check, Callable[[Observed], Iterator[Violation]]] = {
    Check.LOST: acceptance.lost,
    Check.BOTH: acceptance.both,
    Check.CAUSES: acceptance.causes,
    Check.WRONG_ID: acceptance.wrong_id,
    Check.GHOST: acceptance.ghosts,
    Check.ENTRIES: acceptance.entries,
    Check.ROWS: acceptance.rows,
    Check.EXPIRIES: acceptance.expiries,
    Check.REMEMBERED: acceptance.remembered,
    Check.EFFECTS: delivery.effects,
    Check.RECEIPTS: delivery.receipts,
    Check.ASKED: delivery.asked,
    Check.KEYS: delivery.keys,
    Check.LEDGER_ORDER: delivery.ledger_order,
    Check.EFFECT_ORDER: delivery.effect_order,
    Check.PAYMENTS: money.payments,
    Check.BALANCES: money.balances,
    Check.PRICES: money.prices,
    Check.TOLD: money.told,
    Check.LIMITS: money.limits,
    Check.REVERSALS: money.reversals,
    Check.REPEATED: topics.repeated,
    Check.LETTERS: topics.letters,
    Check.LOSSLESS: topics.lossless,
    Check.BURIED: topics.buried,
    Check.REPLAYS: topics.replays,
    Check.OFFSETS: topics.offsets,
    Check.TRANSACTIONS: topics.transactions,
    Check.ENDS: logs.ends,
    Check.ERRORS: logs.errors,
    Check.PRIVACY: logs.privacy,
}


def violations(world: Observed) -> list[Violation]:
    """All of them."""
    return [violation for check in CHECKS.values() for violation in check(world)]


def explain(found: list[Violation], most: int = 20) -> str:
    """For the failure of a test: how many, and the first ones."""
    return "\n".join([f"{len(found)} violations", *(str(violation) for violation in found[:most])])
