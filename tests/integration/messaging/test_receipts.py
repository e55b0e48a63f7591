"""A provider's receipt is a record in its message's topic, whoever's message it is."""

import json
from uuid import uuid4

from messaging_cli.local.process import Service
from testkit.posting import Caller, records
from testkit.processes import Processor

MARKETING = "http-marketing"


def test_a_202_is_a_record_in_the_domains_topic(pod: Processor, kafka: Service) -> None:
    provider = Caller(pod.url, tenant="provider", scopes=("receipts",))
    receipt = {"id": str(uuid4()), "accountId": f"account-{uuid4()}", "domain": "marketing", "status": "failed"}
    trace = f"00-{uuid4().hex}-{uuid4().hex[:16]}-01"
    answer = provider.ask("POST", "/v1/receipts", receipt | {"reason": "absent"}, traceparent=trace)
    assert answer.status_code == 202, answer.text
    key = receipt["accountId"].encode()
    (record,) = (record for record in records(kafka.address, MARKETING) if record.key() == key)
    assert json.loads(record.value() or b"") == answer.json()
    assert answer.json().items() >= (receipt | {"reason": "absent"}).items()
    headers = dict(record.headers() or [])
    assert headers["ce_type"] == b"dev.messagingtopology.message.receipt"
    assert (headers["domain"], headers["traceparent"]) == (b"marketing", trace.encode())
