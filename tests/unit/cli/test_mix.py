"""A mix is what its file says: exactly its proportions, the same every time, and nobody's phone rings."""

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from messaging_api.topology import BillingType
from messaging_cli.errors import CliError
from messaging_cli.mix import Mix, accounts_of, messages_of, mix_for, mix_of, read_mix
from testkit.topologies import EXAMPLE

FILE = Path(__file__).parents[3] / "examples/traffic.yaml"
WEIGHTS = {BillingType.POSTPAID: 6, BillingType.PREPAID: 4}
DOMAINS = {"marketing": 5, "authentication": 3, "agent-flow": 2}


def a_mix(**changes: Any) -> Mix:  # noqa: ANN401  of any field
    return Mix.model_validate({"domains": DOMAINS, "billing_types": WEIGHTS} | changes)


def test_every_ten_messages_hold_each_domain_and_billing_type_as_often_as_its_weight() -> None:
    mix = a_mix()
    accounts = accounts_of(mix)
    messages = messages_of(mix)
    for _ in range(20):
        ten = list(islice(messages, 10))
        assert Counter(message.domain for message in ten) == DOMAINS
        assert Counter(accounts[message.account_id] for message in ten) == WEIGHTS


def test_domains_and_billing_types_do_not_go_hand_in_hand() -> None:
    mix = a_mix(domains={"marketing": 1, "authentication": 1}, billing_types={"Postpaid": 1, "Prepaid": 1})
    accounts = accounts_of(mix)
    assert len({(message.domain, accounts[message.account_id]) for message in islice(messages_of(mix), 100)}) == 4


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 10))
def test_accounts_are_apportioned_exactly_where_that_is_possible(postpaid: int, prepaid: int, times: int) -> None:
    weights = {BillingType.POSTPAID: postpaid, BillingType.PREPAID: prepaid}
    accounts = accounts_of(a_mix(billing_types=weights, accounts=times * (postpaid + prepaid)))
    assert Counter(accounts.values()) == {kind: times * weight for kind, weight in weights.items()}


def test_every_billing_type_has_an_account_however_small_its_weight() -> None:
    accounts = accounts_of(a_mix(billing_types={"Postpaid": 1000, "Prepaid": 1}, accounts=2))
    assert set(accounts.values()) == set(BillingType)


def test_a_mix_is_the_same_every_time_and_another_seed_is_another_traffic() -> None:
    first, second, other = (list(islice(messages_of(a_mix(seed=seed)), 200)) for seed in (7, 7, 8))
    assert first == second
    assert first != other


def test_bodies_and_recipients_keep_within_their_bounds_and_reach_them() -> None:
    recipients = {"first": "+12025550110", "last": "+12025550119"}
    mix = a_mix(body_lengths={"shortest": 1, "longest": 5}, recipients=recipients)
    messages = list(islice(messages_of(mix), 500))
    assert {len(message.body) for message in messages} == set(range(1, 6))
    assert {message.to for message in messages} == {f"+120255501{number}" for number in range(10, 20)}


def test_a_topology_without_a_mix_gets_all_its_domains_and_billing_types_alike() -> None:
    mix = mix_for(EXAMPLE, "example.yaml")
    assert mix.domains == {"marketing": 1, "authentication": 1, "agent-flow": 1}
    assert mix.billing_types == {BillingType.POSTPAID: 1, BillingType.PREPAID: 1}


def test_the_example_is_for_the_example() -> None:
    assert set(read_mix(FILE).domains) == set(mix_for(EXAMPLE, "example.yaml").domains)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown field": ({"account": 3}, "account: Extra inputs are not permitted"),
    "a field within": ({"recipients": {"frist": "+12025550100"}}, "recipients.frist: Extra inputs are not permitted"),
    "a weight that is text": ({"domains": {"marketing": "5"}}, "domains.marketing: Input should be a valid integer"),
    "a weight of nothing": ({"domains": {"marketing": 0}}, "domains.marketing: Input should be greater than"),
    "a domain that no topology can have": ({"domains": {"Marketing": 1}}, "domains.Marketing"),
    "no domain": ({"domains": {}}, "domains: Dictionary should have at least 1 item"),
    "a billing type that nobody has": ({"billingTypes": {"Barter": 1}}, "billingTypes.Barter"),
    "somebody's number": ({"recipients": {"first": "+12125550100"}}, "recipients.first: String should match"),
    "recipients the wrong way round": (
        {"recipients": {"first": "+12025550150", "last": "+12025550120"}},
        "recipients: Value error, first is above last",
    ),
    "lengths the wrong way round": ({"bodyLengths": {"shortest": 400}}, "bodyLengths: Value error, shortest is above"),
    "a body that is too long": ({"bodyLengths": {"longest": 1601}}, "bodyLengths.longest: Input should be less than"),
    "too few accounts": ({"accounts": 1}, "accounts: fewer than billingTypes"),
    "accounts without bound": ({"accounts": 10**9}, "accounts: Input should be less than"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_named_in_one_line(case: str) -> None:
    change, complaint = REFUSED[case]
    with pytest.raises(CliError) as refusal:
        mix_of(yaml.safe_load(FILE.read_text()) | change, "traffic.yaml")
    assert str(refusal.value).startswith("traffic.yaml: ")
    assert complaint in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "complaint"), [("a: [", "not YAML"), ("- 1", "Input should be a valid dictionary"), (None, "No such")]
)
def test_a_file_that_is_no_mix_is_named(tmp_path: Path, content: str | None, complaint: str) -> None:
    file = tmp_path / "mix.yaml"
    if content:
        file.write_text(content)
    with pytest.raises(CliError, match=complaint) as refusal:
        read_mix(file)
    assert str(refusal.value).startswith(f"{file}: ")
