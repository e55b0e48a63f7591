"""What is done to a world, in the order of a run: what changes the topology for good comes last."""

from chaos.episode import Fault
from chaos.faults import callers, calm, growth, kafka, providers, replays, stores, workers

FAULTS: tuple[Fault, ...] = (
    *calm.FAULTS,
    *providers.FAULTS,
    *replays.FAULTS,
    *stores.FAULTS,
    *callers.FAULTS,
    *workers.FAULTS,
    *kafka.FAULTS,
    *growth.FAULTS,
)
