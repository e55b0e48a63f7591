"""A gateway before be-messaging: what is above a tenant's rate is refused, and nowhere."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from messaging_api.topology import RateLimit
from messaging_cli.local.process import Service
from testkit.posting import Caller, records
from testkit.processes import Processor, a_gateway_config, running

POSTPAID = "http-postpaid"
BURST = 5


@pytest.fixture
def gateway(pod: Processor, tmp_path: Path) -> Iterator[Caller]:
    config = a_gateway_config(pod.url, tmp_path, {"shop": "key-of-shop", "crm": "key-of-crm"})
    limited = config.model_copy(update={"rate_limit": RateLimit(requests_per_second=1, burst=BURST)})
    with running(limited, tmp_path) as process:
        yield Caller(process.await_ready().url)


def test_what_is_above_a_tenant_s_rate_is_nowhere(gateway: Caller, pod: Processor, kafka: Service) -> None:
    account = Caller(pod.url).new_account("Postpaid")
    with ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(lambda _: gateway.post(account, x_api_key="key-of-shop"), range(50)))
    accepted = [answer.json()["id"].encode() for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(accepted) >= BURST
    assert len(accepted) + len(refused) == len(answers)
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    published = [record for record in records(kafka.address, POSTPAID) if record.key() == account.encode()]
    assert {dict(record.headers() or [])["ce_id"] for record in published} == set(accepted)
    assert len(published) == len(accepted)
    assert gateway.ask("GET", f"/v1/accounts/{account}", x_api_key="key-of-crm").status_code == 404
