"""Every point where a processor can die around one of its effects, one after the other: nothing is lost or doubled.

A run without a crash lists the effects. Then, for each, one processor kills itself before it and one after it, and is
started again without (`testkit.crashing`). Every run has topics, groups and accounts of its own, so they run side by
side: most of a run is waiting for the group to notice the death.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from signal import SIGKILL
from typing import Protocol

import httpx
import pytest

from messaging_api.message import BillingOutcome, idempotent_id
from messaging_api.processor import DomainConfig, KafkaProcessorConfig, MessagingConfig
from messaging_api.topology import BillingType
from messaging_cli.local.process import Service
from messaging_cli.local.third_party import Behaviour, ThirdParty
from testkit.accounts import Accounts
from testkit.arriving import Ends
from testkit.broker import Broker
from testkit.charging import errors, told
from testkit.forking import launch
from testkit.loops import billing_pods, turn_until
from testkit.messaging import vouched
from testkit.plain_http import PLAIN
from testkit.processes import Slot, a_slot
from testkit.samples import a_billed_message, a_billing_config, a_sink_config, an_accepted_message
from testkit.waiting import eventually

AT_ONCE = 8
MOST_RUNS = 3
"""At one point, until somebody dies there."""
ONE_KEY = "the-only-one"
BATCH_KEYS = ("the-first-of-many", "the-second")
DONE_SECONDS = 20.0
"""From the restart: the group misses the dead for 6 s and gives its partitions away within one, eight at a time."""
LAST_SECONDS = 0.5
"""It may die just after the last thing that there is to do."""


class Job(Protocol):
    """What a processor has to do in a run, and whether it has been done as if nobody had died."""

    environment: dict[str, str]

    @property
    def config(self) -> KafkaProcessorConfig: ...

    def advance(self, url: str) -> bool:
        """Does what its callers do; whether the processor at `url` is done."""

    def check(self) -> None:
        """Fails where something is missing or double."""


@contextmanager
def crashing(slot: Slot, effects: Path, crash_at: str, **environment: str) -> Iterator[BaseProcess]:
    process = launch(slot, CRASH_LIST=str(effects), CRASH_AT=crash_at, **environment)
    try:
        yield process
    finally:
        process.kill()
        process.join()


@dataclass(frozen=True)
class Runs:
    """All runs of one kind of processor."""

    new_job: Callable[[], Job]
    folder: Path

    def crash_everywhere(self, *among: str) -> None:
        """Around each effect; `among` them must be these.

        A run may come out a little differently from the first one, and miss its point: then there is another one.
        """
        self._run("")
        effects = (self.folder / "none.effects").read_text().splitlines()
        assert {*among} <= {effect.split()[1] for effect in effects}
        points = [f"{when}:{effect.split()[0]}" for effect in effects for when in ("before", "after")]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for _ in range(MOST_RUNS):
                died = dict(zip(points, threads.map(self._run, points), strict=True))
                points = [point for point in points if not died[point]]
        assert not points, f"nobody died {', '.join(points)} of\n" + "\n".join(effects)

    def _run(self, crash_at: str) -> bool:
        """Whether the processor died there."""
        job = self.new_job()
        name = crash_at.replace(":", "-") or "none"
        slot = a_slot(job.config, self.folder, f"{job.config.processor}-{name}")
        url = f"http://127.0.0.1:{slot.http}"
        effects = self.folder / f"{name}.effects"
        with crashing(slot, effects, crash_at, **job.environment) as process:
            eventually(lambda: process.exitcode is not None or job.advance(url), within=60)
            process.join(LAST_SECONDS)
            died = process.exitcode is not None
        assert process.exitcode == -SIGKILL, slot.log.read_text()[-2000:]
        if died:
            with crashing(slot, effects.with_suffix(".restarted"), "", **job.environment):
                eventually(lambda: job.advance(url), DONE_SECONDS)
        job.check()
        return died


class BillingJob:
    """Two messages that are charged, one that is refused, and poison, in one batch."""

    def __init__(self, kafka: str, database_url: str) -> None:
        self.environment = {"DATABASE_URL": database_url}
        self._broker = Broker(kafka)
        self._broker.make_topics({"postpaid": 1, "prepaid": 1, "marketing": 1, "billing-marketing.dlq": 1})
        self.config = a_billing_config("marketing", kafka, self._broker.prefix)
        self._accounts = Accounts(database_url)
        self._pays, self._poor = self._broker.name("pays"), self._broker.name("poor")
        self._accounts.register(self._pays)
        self._accounts.register(self._poor, billing_type=BillingType.PREPAID)
        self._charged = [an_accepted_message(self._pays), an_accepted_message(self._pays)]
        self._refused = an_accepted_message(self._poor, billing_type=BillingType.PREPAID)
        values = [one.model_dump_json().encode() for one in (*self._charged, self._refused)]
        for value in (b"{", *values):  # all in one partition: what comes from two may be one batch, or two
            self._broker.put("postpaid", value, [("domain", b"marketing")])
        self._broker.flush()

    def advance(self, url: str) -> bool:
        return self._broker.done(self.config.group_id, ["postpaid"]) == 4

    def check(self) -> None:
        assert Counter((one.id, one.outcome) for one in told(self._broker)) == Counter(
            [(one.id, BillingOutcome.CHARGED) for one in self._charged] + [(self._refused.id, BillingOutcome.REFUSED)]
        )
        assert errors(self._broker) == ["InvalidMessage"]
        assert [one.id for one in self._accounts.ledger(self._pays)] == [one.id for one in self._charged]
        assert [one.id for one in self._accounts.ledger(self._poor)] == [self._refused.id]
        assert self._accounts.balance(self._pays) == "-0.015"


class SinkJob:
    """Two messages that are sent, one that was refused, one that the third party refuses, in one batch."""

    def __init__(self, kafka: str, stores: tuple[str, str], third_party: ThirdParty) -> None:
        self.environment = dict(zip(("DATABASE_URL", "CACHE_URL"), stores, strict=True))
        broker = Broker(kafka)
        broker.make_topics({"marketing": 1, "marketing.dlq": 1})
        path = f"/{broker.prefix}"
        self.config = a_sink_config(kafka, broker.prefix, third_party.address + path)
        self._ends = Ends(broker, self.config, *stores, third_party)
        account = broker.name("account")
        Accounts(stores[0]).register(account)
        self._sent = [a_billed_message(account), a_billed_message(account)]
        self._unsent = a_billed_message(account, outcome=BillingOutcome.REFUSED)
        self._hopeless = a_billed_message(broker.name("other"))
        third_party.behave(Behaviour(status=422, ids=(str(self._hopeless.id),), path=path))
        self._ends.put([*self._sent, self._unsent, self._hopeless])

    def advance(self, url: str) -> bool:
        return self._ends.committed() == 4

    def check(self) -> None:
        """A dead letter may be there twice: only the group's offset tells that it was written."""
        messages = [*self._sent, self._unsent, self._hopeless]
        rows = self._ends.rows(messages)
        assert [rows[one.id].state for one in messages] == ["sent", "sent", "refused", "dead-lettered"]
        effects = [str(one.id) for one in self._sent]
        known = self._ends.third_party.effective
        assert [key for key in known if key in {str(one.id) for one in messages}] == effects
        assert set(self._ends.dead_letters()) == {"Refused"}


class MessagingJob:
    """An account, money for it, a message and a batch, each asked for until it is answered; then billing's turn."""

    def __init__(self, kafka: str, stores: tuple[str, str]) -> None:
        self.environment = dict(zip(("DATABASE_URL", "CACHE_URL"), stores, strict=True))
        self._broker = Broker(kafka)
        self._broker.make_topics({"postpaid": 1, "prepaid": 1, "marketing": 1, "billing-marketing.dlq": 1})
        self._account = self._broker.name("account")
        self._tenant = self._broker.prefix.rstrip(".")
        self.config = MessagingConfig(
            topology="user-api",
            namespace="messaging",
            processor="be-messaging",
            bootstrap_servers=kafka,
            routes={kind: self._broker.name(kind.value.lower()) for kind in BillingType},
            domains={"marketing": DomainConfig(topic=self._broker.name("marketing"), currency="USD")},
            cache_ttl="1h",
        )
        account, money = (
            {"billingType": BillingType.PREPAID.value, "currency": "USD"},
            {"amount": "1", "currency": "USD"},
        )
        message = {"accountId": self._account, "domain": "marketing", "to": "+12025550123", "body": "Hello"}
        batch = {"messages": [message | {"idempotencyKey": key} for key in BATCH_KEYS]}
        self._todo: list[tuple[str, str, Mapping[str, object]]] = [
            ("PUT", f"/v1/accounts/{self._account}", account),
            ("POST", f"/v1/accounts/{self._account}/top-ups", money),
            ("POST", "/v1/messages", message),
            ("POST", "/v1/messages:batch", batch),
        ]

    def advance(self, url: str) -> bool:
        """A client that repeats under the same key what it has no answer for."""
        headers = vouched(self._tenant) | {"Idempotency-Key": ONE_KEY}
        with suppress(httpx.TransportError):
            while self._todo:
                method, path, body = self._todo[0]
                answer = PLAIN.request(method, url + path, json=body, headers=headers)
                assert answer.is_success, answer.text
                assert {result["status"] for result in answer.json().get("results", ())} <= {202}, answer.text
                self._todo.pop(0)
        return not self._todo

    def check(self) -> None:
        config = a_billing_config("marketing", self._broker.bootstrap, self._broker.prefix)
        with billing_pods(config, database_url=self.environment["DATABASE_URL"]) as (pod,):
            end = self._broker.ends("prepaid")[0]
            turn_until(lambda: self._broker.done(config.group_id, ["prepaid"]) == end, *[pod.step] * 3)
        messages = [idempotent_id(self._tenant, key) for key in (ONE_KEY, *BATCH_KEYS)]
        accounts = Accounts(self.environment["DATABASE_URL"])
        entries = accounts.ledger(self._account, self._tenant)
        charge = ("charge", -7_500)
        assert [(entry.kind, entry.amount_micros) for entry in entries] == [("top-up", 1_000_000), *[charge] * 3]
        assert accounts.balance(self._account, self._tenant) == "0.9775"
        assert [one.id for one in told(self._broker)] == messages == [entry.id for entry in entries[1:]]


@pytest.mark.timeout(300)
def test_billing_charges_once_wherever_it_dies(kafka: Service, postgres_url: str, tmp_path: Path) -> None:
    runs = Runs(lambda: BillingJob(kafka.address, postgres_url), tmp_path)
    runs.crash_everywhere("Connection.commit", "Producer.produce", "Producer.commit_transaction")


@pytest.mark.timeout(300)
def test_a_sink_sends_once_wherever_it_dies(
    kafka: Service, stores: tuple[str, str], third_party: ThirdParty, tmp_path: Path
) -> None:
    runs = Runs(lambda: SinkJob(kafka.address, stores, third_party), tmp_path)
    runs.crash_everywhere("Connection.commit", "AsyncClient.send", "Producer.flush", "Consumer.commit")


@pytest.mark.timeout(300)
def test_what_be_messaging_has_taken_is_charged_once_wherever_it_dies(
    kafka: Service, stores: tuple[str, str], tmp_path: Path
) -> None:
    runs = Runs(lambda: MessagingJob(kafka.address, stores), tmp_path)
    runs.crash_everywhere(
        "Connection.commit", "Producer.produce", "delivery", "Redis.execute_command", "Pipeline.execute"
    )


@pytest.fixture
def stores(postgres_url: str, redis_url: str) -> tuple[str, str]:
    return postgres_url, redis_url
