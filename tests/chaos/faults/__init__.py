"""What is done to a world, in the order of a run: what changes the topology for good comes last."""

from chaos.episode import Fault
from chaos.faults import calm

FAULTS: tuple[Fault, ...] = (*calm.FAULTS,)
