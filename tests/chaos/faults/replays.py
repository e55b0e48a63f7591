"""Dead letters that are put back while load goes on, by two replays of a processor at the same time."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from chaos.episode import Fault
from chaos.scene import Scene
from chaos.topology import DOMAINS, group_of
from chaos.world import World
from messaging_cli.dead_letters import replay
from messaging_cli.errors import CliError
from messaging_cli.letters import Selection
from messaging_cli.local.third_party import Behaviour

_LETTERS = 10
"""Of each domain."""
_BATCH = 2
"""So few at a time that the other replay begins in between."""
_SOME = 20
_PUT_BACK = "letters put back"


def _replayed(scene: Scene) -> None:
    """The third party refuses some, is healed, and what it refused comes again."""
    provider, before = scene.world.third_party, _put_back(scene.world)
    provider.behave(Behaviour(status=422, share=0.2))
    try:
        scene.until(lambda: all(_letters(scene.world, domain) >= _LETTERS for domain in DOMAINS))
    finally:
        provider.behave(Behaviour())
    for domain in DOMAINS:
        _replay_twice(scene.world, domain)
    scene.load.await_accepted(_SOME)
    scene.tally[_PUT_BACK] = _put_back(scene.world) - before


def _replay_twice(world: World, domain: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        ends = [*pool.map(partial(_replay, world), [domain] * 2)]
    assert any(ends), f"{domain}: both replays were turned away"


def _replay(world: World, domain: str) -> bool:
    """As `mtop dlq replay` does; whether it got to the end, and was not turned away by a younger one."""
    bootstrap, topic = world.broker.bootstrap, world.broker.name(f"{domain}.dlq")
    batches = replay(bootstrap, topic, group_of(world.broker, f"{domain}.replay"), Selection(domain), _BATCH)
    try:
        deque(batches, maxlen=0)
    except CliError as error:
        if "another replay" not in str(error):
            raise
        return False
    return True


def _letters(world: World, domain: str) -> int:
    """That lie there and were not put back."""
    records = world.broker.everything(f"{domain}.dlq")
    return sum(1 if record.value is not None else -1 for record in records)


def _put_back(world: World) -> int:
    """The markers that say so."""
    return sum(record.value is None for domain in DOMAINS for record in world.broker.everything(f"{domain}.dlq"))


FAULTS = (Fault("letters are put back twice at a time", "S9", _replayed, lambda scene: scene.tally[_PUT_BACK]),)
