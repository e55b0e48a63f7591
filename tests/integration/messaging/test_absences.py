"""Kafka and PostgreSQL go away and come back: what callers are told meanwhile is true, and it heals by itself."""

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from messaging_api.processor import MessagingConfig
from messaging_api.topology import BillingType
from messaging_cli.local.process import Service
from testkit.posting import Caller, records
from testkit.processes import Processor, running
from testkit.waiting import eventually

Stores = dict[str, str]
POSTPAID = "http-postpaid"


@contextlib.contextmanager
def posting(caller: Caller, account: str) -> Iterator[dict[str, httpx.Response]]:
    """Posts with distinct bodies from ten threads, until the end of the block; the answer by the message's body."""
    answers: dict[str, httpx.Response] = {}
    stop = threading.Event()

    def keep_posting() -> None:
        while not stop.wait(0.1):
            body = str(uuid4())
            answers[body] = caller.post(account, body)

    with ThreadPoolExecutor(10) as pool:
        threads = [pool.submit(keep_posting) for _ in range(10)]
        try:
            yield answers
        finally:
            stop.set()
    for thread in threads:
        thread.result()


def refused_at_once(ask: Callable[[], httpx.Response]) -> bool:
    """A 503 that says when to come back, and that nobody had to wait for."""
    begun = time.monotonic()
    answer = ask()
    assert (answer.status_code, answer.headers.get("retry-after")) == (503, "1"), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert time.monotonic() - begun < 1
    return True


def freeze(kafka: Service) -> Callable[[], None]:
    kafka.pause()
    return kafka.resume


def kill(service: Service) -> Callable[[], None]:
    service.kill()
    return service.start


@pytest.mark.parametrize("vanish", [freeze, kill])
def test_while_kafka_is_away_nothing_is_accepted_and_nothing_refused_is_written(
    pod: Processor, kafka: Service, vanish: Callable[[Service], Callable[[], None]]
) -> None:
    caller = Caller(pod.url)
    account = caller.new_account("Postpaid")
    with posting(caller, account) as answers:
        eventually(lambda: len(answers) > 20)
        come_back = vanish(kafka)
        try:
            eventually(lambda: refused_at_once(lambda: caller.post(account)), within=15)
            eventually(lambda: "kafka" in pod.readiness().away, within=15)
            assert not pod.readiness().ready
        finally:
            come_back()
        eventually(lambda: caller.post(account).status_code == 202)
        pod.await_ready()
    assert {answer.status_code for answer in answers.values()} <= {202, 503, 504}
    assert all(answer.headers["retry-after"] for answer in answers.values() if answer.status_code == 503)
    written = [json.loads(record.value() or b"")["body"] for record in records(kafka.address, POSTPAID)]
    assert {body for body, answer in answers.items() if answer.status_code == 202} - {*written} == set()
    assert {body for body, answer in answers.items() if answer.status_code == 503} & {*written} == set()


def test_without_its_database_it_refuses_what_it_cannot_know_and_heals(pod: Processor, postgres: Service) -> None:
    caller = Caller(pod.url)
    account = caller.new_account("Postpaid")
    assert caller.post(account).status_code == 202
    postgres.kill()
    try:
        eventually(lambda: "database" in pod.readiness().away, within=15)
        assert not pod.readiness().ready
        eventually(lambda: refused_at_once(lambda: caller.post("unseen")))
        eventually(lambda: refused_at_once(lambda: caller.message(uuid4())))
        eventually(lambda: refused_at_once(lambda: caller.put_account(account, "Prepaid")))
        assert caller.post(account).status_code == 202, "its billing type is in Redis"
    finally:
        postgres.start()
    eventually(lambda: caller.post("unseen").status_code == 422)
    assert caller.billing_type(account) == "Postpaid"


def test_a_frozen_database_keeps_nobody_waiting(pod: Processor, postgres: Service) -> None:
    caller = Caller(pod.url)
    frozen = [postgres.process.pid, *children(postgres.process.pid)]
    signal_all(frozen, signal.SIGSTOP)
    try:
        eventually(lambda: refused_at_once(lambda: caller.post("unseen")), within=15)
    finally:
        signal_all(frozen, signal.SIGCONT)
    eventually(lambda: caller.post("unseen").status_code == 422)
    pod.await_ready()


def test_a_pod_without_its_topics_is_not_ready_and_says_which(
    messaging_config: MessagingConfig, stores: Stores, tmp_path: Path
) -> None:
    routes = {BillingType.POSTPAID: POSTPAID, BillingType.PREPAID: "absent"}
    lacking = messaging_config.model_copy(update={"routes": routes})
    with running(lacking, tmp_path, **stores) as pod:
        eventually(lambda: "topic absent: " in pod.readiness().away.get("kafka", ""))
        assert not pod.readiness().ready


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
