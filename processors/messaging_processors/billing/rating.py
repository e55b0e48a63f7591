"""What a message costs, pure. Called by `handling`; exact decimals, never a float."""

from decimal import Decimal

from messaging_api.message import Charge
from messaging_api.topology import Tariff


def charge(tariff: Tariff) -> Charge:
    """The charge of one message."""
    return Charge(amount=f"{Decimal(tariff.per_message):f}", currency=tariff.currency)
