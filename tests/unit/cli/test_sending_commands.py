"""`mtop send` and `mtop accounts` as people see them: what is printed, and one line for every mistake."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from messaging_cli.app import run
from messaging_cli.local.services import free_port
from messaging_cli.local.state import LocalRun, folder_of
from testkit.gateways import KEY, PAGE, FakeGateway, fake_gateway, problem
from testkit.local_runs import an_up
from testkit.topologies import EXAMPLE_FILE

MIX = str(Path(__file__).parents[3] / "examples/traffic.yaml")


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with fake_gateway() as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def _no_runs_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def up() -> Iterator[int]:
    with an_up() as pid:
        yield pid


def a_run(topology: str, pid: int, gateway: FakeGateway) -> None:
    """Without a database."""
    folder_of(topology).mkdir(parents=True)
    file = str(EXAMPLE_FILE)
    LocalRun(topology, "messaging", file, pid, gateway.url, KEY, "127.0.0.1:9", "", "", "", True).save()


def at(gateway: FakeGateway) -> list[str]:
    return ["--gateway", gateway.url, "--api-key", KEY]


def error(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The last line on stderr: a progress bar may come before it."""
    assert run(words) == 1
    return capsys.readouterr().err.splitlines()[-1]


def test_a_table_of_answers_and_latencies(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["send", *at(gateway), "--mix", MIX, "--rate", "1000", "--count", "50"]) == 0
    said = capsys.readouterr()
    assert "50 messages" in said.out
    assert "POST → 202" in said.out
    assert "no rows were read: --database URL tells where they are" in said.out
    assert "50/50" in said.err
    assert len(gateway.accounts) == 40
    assert len(gateway.messages) == len(set(gateway.keys)) == 50
    prepaid = {name for name, account in gateway.accounts.items() if account["billingType"] == "Prepaid"}
    assert {entry["account"] for entry in gateway.top_ups.values()} == prepaid
    assert {(entry["amount"], entry["currency"]) for entry in gateway.top_ups.values()} == {("10000", "USD")}


def test_nothing_is_topped_up_where_that_is_not_wanted(gateway: FakeGateway) -> None:
    send = ["send", *at(gateway), "--mix", MIX, "--rate", "1000", "--count", "5"]
    assert run([*send, "--top-up", "0"]) == 0
    assert gateway.top_ups == {}
    assert run([*send, "--top-up", "2.50"]) == 0
    assert {entry["amount"] for entry in gateway.top_ups.values()} == {"2.50"}


@pytest.mark.parametrize(("form", "parse"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_the_same_for_programs(
    gateway: FakeGateway, capsys: pytest.CaptureFixture[str], form: str, parse: type
) -> None:
    replies = iter([problem(503, "try again"), problem(429, "too many")])
    accept = gateway.reply
    gateway.reply = lambda message: next(replies, None) or accept(message)
    assert run(["send", *at(gateway), "--mix", MIX, "--rate", "1000", "--count", "20", "-o", form]) == 0
    done = parse(capsys.readouterr().out)
    assert done["statuses"] == {"202": 18, "503": 1, "429": 1}
    assert done["refusals"] == {"503": "try again", "429": "too many"}
    assert done["post_to_202"]["count"] == 18
    assert done["post_to_row"] is None


def test_nothing_accepted_is_a_failure_that_says_why(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    gateway.reply = lambda _: problem(422, "not one of this topology's domains", field="domain")
    said = error(["send", *at(gateway), "--mix", MIX, "--count", "3"], capsys)
    assert said.startswith("mtop: none of 3 messages was accepted")
    assert said.endswith("422: domain: not one of this topology's domains")


def test_a_local_run_is_found_by_its_name_and_sent_its_own_domains(
    gateway: FakeGateway, up: int, capsys: pytest.CaptureFixture[str]
) -> None:
    a_run("shop", up, gateway)
    assert run(["send", "shop", "--rate", "1000", "--count", "30"]) == 0
    capsys.readouterr()
    assert {message["domain"] for message in gateway.messages} == {"marketing", "authentication", "agent-flow"}


def test_the_only_run_needs_no_name_and_of_several_one_must_be_named(
    gateway: FakeGateway, up: int, capsys: pytest.CaptureFixture[str]
) -> None:
    a_run("shop", up, gateway)
    assert run(["accounts", "put", "account-7", "--billing-type", "Prepaid"]) == 0
    a_run("market", up, gateway)
    assert error(["accounts", "get", "account-7"], capsys).endswith("name one: market, shop")
    assert run(["accounts", "get", "account-7", "--run", "market"]) == 0
    assert "no topology nope runs here" in error(["accounts", "get", "account-7", "--run", "nope"], capsys)


def test_an_account_is_put_and_got(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["accounts", "put", "account-7", "--billing-type", "Prepaid", *at(gateway)]) == 0
    assert run(["accounts", "get", "account-7", *at(gateway), "-o", "json"]) == 0
    table, _, answer = capsys.readouterr().out.partition("{")
    assert {"account-7", "Prepaid", "USD", "0"} <= set(table.replace("│", " ").split())
    expected = {"id": "account-7", "billingType": "Prepaid", "currency": "USD", "balance": "0", "creditLimit": None}
    assert json.loads("{" + answer) == expected


def test_a_postpaid_account_has_a_credit_limit(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    put = ["accounts", "put", "account-7", "--billing-type", "Postpaid", *at(gateway)]
    assert run([*put, "--currency", "EUR", "--credit-limit", "50.5"]) == 0
    assert gateway.accounts["account-7"].items() >= {"currency": "EUR", "creditLimit": "50.5"}.items()
    assert {"Postpaid", "EUR", "50.5"} <= set(capsys.readouterr().out.replace("│", " ").split())
    assert run(put) == 0
    assert "none" in capsys.readouterr().out


def test_a_top_up_has_a_key_that_is_told_before_and_repeats_it(
    gateway: FakeGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.put_account("account-7", {"billingType": "Prepaid"})
    top_up = ["accounts", "top-up", "account-7", "12.50", "USD", *at(gateway)]
    assert run(top_up) == 0
    said = capsys.readouterr()
    (key,) = gateway.top_ups
    assert f"Idempotency-Key: {key} (if this fails: repeat with --key {key})" in said.err
    assert "12.50 USD" in said.out
    assert run([*top_up, "--key", key]) == 0
    assert list(gateway.top_ups) == [key]


def test_a_ledger_is_read_to_its_end_page_by_page(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    gateway.put_account("account-7", {"billingType": "Prepaid"})
    for number in range(2 * PAGE + 1):
        gateway.top_up("account-7", {"amount": f"{number + 1}", "currency": "USD"}, f"key-{number}")
    assert run(["accounts", "ledger", "account-7", *at(gateway), "-o", "json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert [entry["amount"] for entry in entries] == ["1", "2", "3", "4", "5"]
    assert run(["accounts", "ledger", "account-7", "--after", "3", *at(gateway)]) == 0
    table = capsys.readouterr().out
    assert "top-up" in table
    assert "5 USD" in table
    assert "3 USD" not in table


def test_what_the_gateway_refuses_is_one_line_with_the_field(
    gateway: FakeGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    said = error(["accounts", "put", "no id", "--billing-type", "Prepaid", *at(gateway)], capsys)
    assert said == f"mtop: PUT {gateway.url}/v1/accounts/no%20id: 422 id: String should match a pattern"
    said = error(["accounts", "get", "nobody", *at(gateway)], capsys)
    assert said == f"mtop: GET {gateway.url}/v1/accounts/nobody: 404 There is no account nobody"
    said = error(["accounts", "get", "nobody", "--gateway", gateway.url], capsys)
    assert said.endswith("401 Unknown API key")


def test_a_mistake_is_one_line(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    closed = f"http://127.0.0.1:{free_port()}"
    nowhere = f"postgresql://nobody:secret@127.0.0.1:{free_port()}/nothing"
    expected = {
        ("send",): "no topology runs here: mtop up FILE starts one",
        ("send", "nope"): "no topology nope runs here: mtop up FILE starts one",
        ("send", "--gateway", closed): "say what to send: --mix FILE",
        ("send", "--gateway", closed, "--mix", "nope.yaml"): "nope.yaml: No such file or directory",
        ("send", "--gateway", closed, "--mix", MIX): f"no answer from {closed}",
        ("send", *at(gateway), "--mix", MIX, "--database", nowhere): "the database at 127.0.0.1: ",
        ("send", *at(gateway), "--mix", MIX, "--database", "x:secret"): "--database: not a URL like",
        ("send", "--count", "0"): "Invalid value for '--count'",
        ("send", "--count", "200001"): "Invalid value for '--count'",
        ("send", "--rate", "nan"): "Invalid value for '--rate'",
        ("accounts", "get", "a", "--gateway", closed): f"no answer from {closed}",
        ("accounts", "put", "a", "--billing-type", "Barter"): "Invalid value for '--billing-type'",
        ("accounts", "put", "a", "--billing-type", "Prepaid", "--currency", "usd"): "currency: 'usd': String should",
        ("accounts", "put", "a", "--billing-type", "Postpaid", "--credit-limit", "-1"): "credit-limit: '-1': String",
        ("accounts", "top-up", "a", "0", "USD"): "amount: '0': must be more than 0",
        ("send", *at(gateway), "--mix", MIX, "--top-up", "much"): "--top-up: 'much' is not a decimal such as 100.50",
    }
    said = {words: error(words, capsys) for words in expected}
    assert {words: line.startswith(f"mtop: {expected[words]}") for words, line in said.items()} == dict.fromkeys(
        expected, True
    ), said
    assert not any("secret" in line for line in said.values())
    assert gateway.messages == []
