"""A changed billing type counts on every pod with the next message, whatever Redis does meanwhile."""

import pytest

from messaging_cli.local.process import Service
from testkit.posting import Caller, records
from testkit.processes import Processor
from testkit.waiting import eventually

PREPAID = "http-prepaid"

Pods = tuple[Processor, Processor]


@pytest.fixture
def callers(pods: Pods) -> tuple[Caller, Caller]:
    one, two = (Caller(pod.await_ready().url) for pod in pods)
    return one, two


def test_a_change_counts_on_the_other_pod_at_once(callers: tuple[Caller, Caller], kafka: Service) -> None:
    one, two = callers
    account = one.new_account("Postpaid")
    assert two.post(account).status_code == 202  # now it is cached
    one.put_account(account, "Prepaid").raise_for_status()
    assert two.post(account).status_code == 202
    assert [record.key() for record in records(kafka.address, PREPAID)].count(account.encode()) == 1


def test_a_change_that_redis_missed_counts_at_once_and_again_when_redis_is_back(
    pods: Pods, callers: tuple[Caller, Caller], redis_service: Service
) -> None:
    one, two = callers
    account = one.new_account("Postpaid")
    assert two.billing_type(account) == "Postpaid"  # now it is cached
    redis_service.pause()
    try:
        one.billing_type(account)  # now it knows that Redis is away, and does not even try to tell it
        one.put_account(account, "Prepaid").raise_for_status()
        assert (one.billing_type(account), two.billing_type(account)) == ("Prepaid", "Prepaid")
        eventually(lambda: all("redis" in pod.readiness().away for pod in pods), within=15)
        assert all(pod.readiness().ready for pod in pods), "a lost cache may cost speed, nothing else"
    finally:
        redis_service.resume()
    eventually(lambda: not any(pod.readiness().away for pod in pods), within=15)
    eventually(lambda: {one.billing_type(account), two.billing_type(account)} == {"Prepaid"}, within=15)
