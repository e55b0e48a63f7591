"""A tenant sees and changes nothing of another's, at any endpoint."""

import pytest
import sqlalchemy as sa

from messaging_processors.runtime.schema import messages
from testkit.posting import Caller
from testkit.processes import Processor
from testkit.rows import execute, record_entry, store_message


@pytest.fixture
def shop(pod: Processor) -> Caller:
    return Caller(pod.url)


@pytest.fixture
def crm(pod: Processor) -> Caller:
    return Caller(pod.url, tenant="crm")


def test_an_account_is_its_tenants_alone(shop: Caller, crm: Caller) -> None:
    account = shop.new_account("Prepaid")
    assert shop.post(account).status_code == 202  # now it is cached
    unseen = [crm.account(account), crm.ledger(account), crm.top_up(account, "1", "k")]
    assert [answer.status_code for answer in unseen] == [404, 404, 404]
    assert (crm.post(account).status_code, crm.post(account).json()["field"]) == (422, "accountId")


def test_tenants_may_have_accounts_of_the_same_name(shop: Caller, crm: Caller) -> None:
    account = shop.new_account("Prepaid")
    crm.put_account(account, "Postpaid", currency="EUR").raise_for_status()
    assert shop.top_up(account, "5", "k").json()["id"] != crm.top_up(account, "7", "k", "EUR").json()["id"]
    assert (shop.billing_type(account), crm.billing_type(account)) == ("Prepaid", "Postpaid")
    assert (shop.account(account).json()["balance"], crm.account(account).json()["balance"]) == ("5", "7")
    assert [len(caller.ledger(account).json()["entries"]) for caller in (shop, crm)] == [1, 1]
    assert (shop.post(account).status_code, crm.post(account).status_code) == (202, 422), "crm's is in EUR"


def test_a_message_is_its_tenants_alone(shop: Caller, crm: Caller, postgres_url: str) -> None:
    stored = store_message(postgres_url, "sent")
    charged = record_entry(postgres_url, shop.new_account("Prepaid"))
    for message_id in (stored, charged):
        for _ in range(2):  # the second time it may be in Redis
            assert (shop.message(message_id).status_code, crm.message(message_id).status_code) == (200, 404)


def test_an_erasure_reaches_no_other_tenant(shop: Caller, crm: Caller, postgres_url: str) -> None:
    number = "+12025550177"
    stored = store_message(postgres_url, "sent", recipient=number)
    assert crm.ask("POST", "/v1/erasures", {"to": number}).json() == {"erased": 0}
    (row,) = execute(postgres_url, sa.select(messages.c.recipient, messages.c.body).where(messages.c.id == stored))
    assert row == (number, "b")
