"""The tables of rates that tariffs refer to, as the ConfigMaps have them. `reconcile` calls it, the command line too.

Promise: a table that is not there or wrong holds up its own processor and nothing else.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache

from pydantic import TypeAdapter, ValidationError

from messaging_api.processor import CONFIG_FILE, BillingConfig
from messaging_api.rates import RatesError, read_rates
from messaging_api.status import ConditionType, Reason
from messaging_api.tariff import ConfigMapKey, Rate
from messaging_api.topology import TopologySpec
from messaging_operator.errors import ClusterError, Problem
from messaging_operator.state import Manifest, ObjectKey, RateTables, Unreadable, configuration_of

Find = Callable[[ObjectKey], Manifest | None]
"""An object of the topology's namespace; raises `ClusterError`."""

_MOST_BYTES = 900_000
"""Kubernetes keeps 1 MiB in a ConfigMap, and the rest of a configuration needs some of it."""
_RATES = TypeAdapter(tuple[Rate, ...])


def rate_tables(spec: TopologySpec, find: Find) -> RateTables:
    """Of every billing processor whose tariff refers to one; raises `ClusterError` where nobody answers."""
    sources = {billing.name: billing.tariff.rates_from for billing in spec.billing}
    return {
        name: _table(name, source.config_map_key_ref, find) for name, source in sources.items() if source is not None
    }


def read_table(source: ConfigMapKey, config_map: Manifest | None) -> tuple[Rate, ...]:
    """Raises `RatesError`, which names the ConfigMap, the key, the row, and what to do."""
    if config_map is None:
        raise RatesError(f"ConfigMap {source.name} is not there: create it with the table under {source.key}")
    data: Mapping[str, object] = config_map.get("data") or {}
    if source.key not in data:
        there = ", ".join(data) or "nothing"
        raise RatesError(f"ConfigMap {source.name} has no {source.key}, only {there}: add the table under that key")
    try:
        return _read(str(data[source.key]))
    except RatesError as error:
        raise RatesError(f"ConfigMap {source.name}, {source.key}: {error}") from error


@lru_cache(maxsize=16)
def _read(text: str) -> tuple[Rate, ...]:
    """Remembered, as it is read at every resync and seldom changes."""
    rates = tuple(read_rates(text))
    size = len(_RATES.dump_json(rates, indent=2))
    if size > _MOST_BYTES:
        raise RatesError(
            f"{len(rates)} prefixes are {size // 1000} kB of configuration, and {_MOST_BYTES // 1000} kB fit into a"
            " ConfigMap: leave out those that cost what a shorter one costs"
        )
    return rates


def _table(processor: str, source: ConfigMapKey, find: Find) -> tuple[Rate, ...] | Unreadable:
    try:
        return read_table(source, find(ObjectKey("ConfigMap", source.name)))
    except RatesError as error:
        return _unreadable(processor, str(error), find)
    except ClusterError as error:
        if error.heals:
            raise
        return _unreadable(processor, f"ConfigMap {source.name} cannot be read: {error}", find)


def _unreadable(processor: str, why: str, find: Find) -> Unreadable:
    in_force = _in_force(processor, find)
    meanwhile = "it goes on with the prices that it has" if in_force else "it is not started"
    message = f"{processor}: tariff.ratesFrom: {why}; until then {meanwhile}"
    return Unreadable(Problem(ConditionType.PROCESSORS_READY, Reason.INVALID_RATES, message), in_force)


def _in_force(processor: str, find: Find) -> BillingConfig | None:
    """What the pods of its Deployment read."""
    deployment = find(ObjectKey("Deployment", processor))
    config_map = find(configuration_of(deployment)) if deployment else None
    try:
        return BillingConfig.model_validate_json(config_map["data"][CONFIG_FILE]) if config_map else None
    except (ValidationError, KeyError):
        return None  # another version's, or changed by hand
