"""`mtop send`, `mtop accounts` and the demo's balance on real processors: from POST to third party and row."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from messaging_api.processor import BillingConfig, DomainConfig, MessagingConfig, SinkConfig
from messaging_api.topology import BillingType
from messaging_cli.dead_letters import dead_message_ids
from messaging_cli.demonstration import demonstrate
from messaging_cli.local.state import LocalRun
from messaging_cli.local.third_party import Behaviour, ThirdParty
from testkit.broker import Broker
from testkit.local_runs import Mtop
from testkit.processes import Processor, a_gateway_config, running
from testkit.samples import a_billing_config, a_sink_config
from testkit.topologies import EXAMPLE
from testkit.waiting import eventually

DOMAINS = ["marketing", "authentication"]
STRAYED = "authentication"
"""be-messaging accepts it and billing does not know it: its messages die before they are charged."""


KEY = "key-of-shop"


def at(front: Processor) -> tuple[str, ...]:
    """Options for commands."""
    return "--gateway", front.url, "--api-key", KEY


def messaging(broker: Broker) -> MessagingConfig:
    return MessagingConfig(
        topology="user-api",
        namespace="messaging",
        processor="be-messaging",
        bootstrap_servers=broker.bootstrap,
        routes={kind: broker.name(kind.lower()) for kind in BillingType},
        domains={name: DomainConfig(topic=broker.name(name), currency="USD") for name in DOMAINS},
        cache_ttl="1h",
    )


def billing(broker: Broker) -> BillingConfig:
    config = a_billing_config("marketing", broker.bootstrap, broker.prefix, unrouted=("postpaid", "prepaid"))
    return config.model_copy(update={"domains": ["marketing"]})


def sink(broker: Broker, third_party: ThirdParty) -> SinkConfig:
    return a_sink_config(broker.bootstrap, broker.prefix, f"{third_party.address}/marketing")


@pytest.fixture
def front(broker: Broker, postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[Processor]:
    """be-messaging behind a gateway."""
    stores = {"DATABASE_URL": postgres_url, "CACHE_URL": redis_url}
    with running(messaging(broker), tmp_path, **stores) as be_messaging:
        config = a_gateway_config(be_messaging.url, tmp_path, {broker.prefix.rstrip("."): KEY})
        with running(config, tmp_path) as gateway:
            be_messaging.await_ready()
            yield gateway.await_ready()


@pytest.fixture
def pipeline(
    front: Processor,
    broker: Broker,
    third_party: ThirdParty,
    postgres_url: str,
    redis_url: str,
    tmp_path: Path,
) -> Iterator[Processor]:
    """The front, and what comes after it for one domain."""
    with ExitStack() as stack:
        for config in (billing(broker), sink(broker, third_party)):
            pod = running(config, tmp_path, DATABASE_URL=postgres_url, CACHE_URL=redis_url)
            stack.enter_context(pod).await_ready()
        yield front


def a_mix(folder: Path, **domains: int) -> str:
    file = folder / "mix.yaml"
    file.write_text(yaml.safe_dump({"domains": domains, "billingTypes": {"Postpaid": 6, "Prepaid": 4}}))
    return str(file)


def a_run(broker: Broker, front: Processor, database_url: str, folder: Path, *domains: str) -> LocalRun:
    """As `mtop up` describes it, of a topology with these domains alone."""
    document: dict[str, Any] = json.loads(json.dumps(EXAMPLE))
    document["spec"]["billing"] = [part for part in document["spec"]["billing"] if part["domain"] in domains]
    (folder / "topology.yaml").write_text(yaml.safe_dump(document))
    file = str(folder / "topology.yaml")
    return LocalRun("shop", "messaging", file, 0, front.url, KEY, broker.bootstrap, database_url, "", "", True)


def test_traffic_is_accepted_and_its_rows_are_found(
    pipeline: Processor, mtop: Mtop, third_party: ThirdParty, postgres_url: str, tmp_path: Path
) -> None:
    there = (*at(pipeline), "--database", postgres_url, "--mix", a_mix(tmp_path, marketing=1))
    done = mtop.json("send", *there, "--rate", "100", "--count", "200")
    assert done["statuses"] == {"202": 200}
    assert done["states"] == {"sent": 200}
    assert done["post_to_202"]["count"] == done["post_to_row"]["count"] == 200
    assert done["post_to_row"]["p50"] > 0, "no row before its POST, by one clock"
    assert third_party.calls()["distinct"] == 200


def test_a_message_that_nobody_can_pay_is_refused_and_told_why(
    pipeline: Processor, mtop: Mtop, third_party: ThirdParty, postgres_url: str, tmp_path: Path
) -> None:
    there = (*at(pipeline), "--database", postgres_url, "--mix", a_mix(tmp_path, marketing=1))
    done = mtop.json("send", *there, "--rate", "100", "--count", "20", "--top-up", "0")
    assert done["states"] == {"sent": 12, "refused (InsufficientBalance)": 8}
    assert third_party.calls()["distinct"] == 12


def test_a_row_that_does_not_come_is_waited_for_no_longer_than_told(
    front: Processor, mtop: Mtop, postgres_url: str, tmp_path: Path
) -> None:
    there = (*at(front), "--database", postgres_url, "--mix", a_mix(tmp_path, marketing=1))
    done = mtop.json("send", *there, "--rate", "100", "--count", "10", "--wait", "0")
    assert (done["states"], done["post_to_row"]) == ({"no row": 10}, None)


def test_a_gateway_that_is_killed_meanwhile_is_counted(front: Processor, broker: Broker, tmp_path: Path) -> None:
    there = [*at(front), "--mix", a_mix(tmp_path, marketing=1)]
    command = [sys.executable, "-m", "messaging_cli", "send", *there, "--rate", "20", "--count", "100", "-o", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as sending:
        eventually(lambda: len(broker.everything("postpaid")) > 3)
        front.process.kill()
        output, errors = sending.communicate(timeout=60)
    assert sending.returncode == 0, errors
    statuses = json.loads(output)["statuses"]
    assert set(statuses) == {"202", "no answer"}
    assert statuses["202"] + statuses["no answer"] == 100


def test_accounts_are_put_got_and_topped_up(front: Processor, mtop: Mtop) -> None:
    account, there = "account-1", at(front)
    assert "404 There is no account" in mtop.error("accounts", "get", account, *there)
    expected = {"id": account, "billingType": "Prepaid", "currency": "USD", "balance": "0", "creditLimit": None}
    assert mtop.json("accounts", "put", account, "--billing-type", "Prepaid", *there) == expected
    assert mtop.json("accounts", "get", account, *there) == expected
    for _ in range(2):
        entry = mtop.json("accounts", "top-up", account, "12.50", "USD", "--key", "first", *there)
        assert (entry["kind"], entry["amount"], entry["balance"]) == ("top-up", "12.5", "12.5")
    assert mtop.json("accounts", "get", account, *there) == expected | {"balance": "12.5"}
    assert mtop.json("accounts", "ledger", account, *there) == [entry]
    said = mtop.error("accounts", "put", "no id", "--billing-type", "Prepaid", *there)
    assert "422 id: " in said


def test_a_demo_balances_and_says_so_in_its_last_line(
    pipeline: Processor, broker: Broker, postgres_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One domain is sent, the other dies before it is charged."""
    run = a_run(broker, pipeline, postgres_url, tmp_path, "marketing", STRAYED)
    read_dead = partial(dead_message_ids, broker.bootstrap, [broker.name("billing-marketing.dlq")])
    assert demonstrate(run, 2, 50, read_dead)
    figures = last_line(capsys)
    assert figures["accepted"] == figures["charged"] + figures["dead"]
    assert figures["charged"] == figures["sent"] > 0
    assert figures["dead"] > 0


def test_what_the_third_party_refuses_is_dead_after_the_charge(
    pipeline: Processor,
    broker: Broker,
    third_party: ThirdParty,
    postgres_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    third_party.behaviour = Behaviour(status=422)
    assert demonstrate(a_run(broker, pipeline, postgres_url, tmp_path, "marketing"), 1, 20)
    figures = last_line(capsys)
    assert figures["accepted"] == figures["charged"] == figures["dead"] > 0
    assert figures["sent"] == figures["refused"] == 0


def test_a_demo_that_is_stopped_does_not_balance(
    front: Processor, broker: Broker, postgres_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody charges; without the stop it would wait for a minute."""
    run = a_run(broker, front, postgres_url, tmp_path, "marketing")
    turns = iter([True] * 40)
    assert not demonstrate(run, 60, 50, go_on=lambda: next(turns, False))
    figures = last_line(capsys)
    assert (figures["accepted"], figures["charged"]) == (40, 0)


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    words = (word.split("=") for word in capsys.readouterr().out.splitlines()[-1].split(" "))
    return {name: int(number) for name, number in words}
