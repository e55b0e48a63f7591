"""The tables of rates that a topology's tariffs refer to, where they stand in its file; for `mtop validate` and `up`.

The API server knows nothing of them: there the operator tells what is wrong, in a condition.
"""

from collections.abc import Iterator, Mapping

from messaging_api.rates import RatesError
from messaging_api.tariff import ConfigMapKey
from messaging_cli.sources import Declared, spec_of
from messaging_cli.validation.violation import Violation, broken_table
from messaging_operator.rates import read_table


def table_faults(declared: Declared) -> list[Violation]:
    """What is wrong with the tables of the file; the topology itself is valid."""
    return list(_faults(declared, present=True))


def absent_tables(declared: Declared) -> list[Violation]:
    """References to ConfigMaps that are not in the file: in a cluster they may be there already."""
    return list(_faults(declared, present=False))


def _faults(declared: Declared, present: bool) -> Iterator[Violation]:
    for field, source in _sources(declared).items():
        config_map = declared.config_maps.get(source.name)
        if (config_map is not None) is present:
            try:
                read_table(source, config_map)
            except RatesError as error:
                yield broken_table(field, str(error))


def _sources(declared: Declared) -> Mapping[str, ConfigMapKey]:
    """By the field that refers to it."""
    billing = spec_of(declared.topology, "spec").billing
    return {
        f"spec.billing[{place}].tariff.ratesFrom": entry.tariff.rates_from.config_map_key_ref
        for place, entry in enumerate(billing)
        if entry.tariff.rates_from
    }
