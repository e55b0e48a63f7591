"""What cannot be charged, on a real Kafka with two billing processors of one topic: one dead letter each."""

import ctypes
from collections.abc import Iterator

import pytest

from messaging_processors.runtime.records import LONGEST_ERROR
from testkit import librdkafka
from testkit.broker import Broker, Headers, Seen
from testkit.charging import INPUTS, told
from testkit.loops import BillingPod, billing_pods, turn_until
from testkit.samples import DOMAINS, a_billing_config, an_accepted_message


def good(account: str = "account-1") -> bytes:
    return an_accepted_message(account).model_dump_json().encode()


GOOD = good()
POISON: dict[str, tuple[bytes | None, Headers, str, str]] = {
    "no JSON": (b"{", [("domain", b"marketing")], "marketing", "InvalidMessage"),
    "no UTF-8": (b"\xff\xfe", [("domain", b"marketing")], "marketing", "InvalidMessage"),
    "nothing at all": (None, [("domain", b"authentication")], "authentication", "InvalidMessage"),
    "empty": (b"", [("domain", b"authentication")], "authentication", "InvalidMessage"),
    "no message": (b'{"id": 7}', [("domain", b"marketing")], "marketing", "InvalidMessage"),
    "deep": (b"[" * 100_000, [("domain", b"marketing")], "marketing", "InvalidMessage"),
    "an unknown type": (
        GOOD.replace(b"Postpaid", b"Barter"),
        [("domain", b"marketing")],
        "marketing",
        "InvalidMessage",
    ),
    "nobody's": (good("nobody"), [("domain", b"marketing")], "marketing", "UnknownAccount"),
    "another domain inside": (GOOD, [("domain", b"authentication")], "authentication", "WrongDomain"),
    "large": (b"x" * 900_000, [("domain", b"marketing")], "marketing", "InvalidMessage"),
    "no header": (GOOD, [], "marketing", "UnknownDomain"),
    "a header without a value": (GOOD, [("domain", None)], "marketing", "UnknownDomain"),
    "two headers": (GOOD, [("domain", b"marketing"), ("domain", b"authentication")], "marketing", "UnknownDomain"),
    "an undeclared domain": (GOOD, [("domain", b"nowhere")], "marketing", "UnknownDomain"),
    "a header that is no text": (GOOD, [("domain", b"\xff"), ("", b"\x00")], "marketing", "UnknownDomain"),
}


@pytest.fixture
def broker(broker: Broker) -> Broker:
    broker.make_topics({"postpaid": 2, "prepaid": 2}, {"max.message.bytes": "3000000"})
    broker.make_topics(dict.fromkeys(DOMAINS, 1))
    # A dead letter is its record and some headers: it needs more room than its record.
    broker.make_topics({f"billing-{domain}.dlq": 2 for domain in DOMAINS}, {"max.message.bytes": "1200000"})
    return broker


@pytest.fixture
def billing(broker: Broker, database_url: str) -> Iterator[list[BillingPod]]:
    """Both processors; the first is the one that answers for what belongs to nobody."""
    unrouted = {DOMAINS[0]: ("postpaid", "prepaid")}
    configs = [
        a_billing_config(domain, broker.bootstrap, broker.prefix, unrouted.get(domain, ())) for domain in DOMAINS
    ]
    with billing_pods(*configs, database_url=database_url) as pods:
        yield pods


def put_with_a_header_name_that_is_no_text(broker: Broker, topic: str) -> None:
    """What other clients can write and ours cannot: its C library is asked directly."""
    library = librdkafka.loaded()
    library.rd_kafka_conf_new.restype = library.rd_kafka_new.restype = ctypes.c_void_p
    settings, said = ctypes.c_void_p(library.rd_kafka_conf_new()), ctypes.create_string_buffer(200)
    library.rd_kafka_conf_set(settings, b"bootstrap.servers", broker.bootstrap.encode(), said, 200)
    producer = ctypes.c_void_p(library.rd_kafka_new(0, settings, said, 200))
    end, name, value, header, size = 0, 1, 4, 9, ctypes.c_ssize_t
    about = (name, broker.name(topic).encode(), value, GOOD, size(len(GOOD)), header, b"\xff\xfe", b"x", size(1))
    assert library.rd_kafka_producev(producer, *about, end) == 0
    assert library.rd_kafka_flush(producer, 10_000) == 0
    library.rd_kafka_destroy(producer)


def finish(broker: Broker, billing: list[BillingPod], count: int) -> None:
    """Turns both until their groups have all of `count` records behind them."""
    groups = [a_billing_config(domain, prefix=broker.prefix).group_id for domain in DOMAINS]

    def all_done() -> bool:
        return all(broker.done(group, INPUTS) == count for group in groups)

    turn_until(all_done, *[loop.step for loop in billing] * 3)


def dead_letters(broker: Broker) -> dict[str, list[Seen]]:
    return {domain: broker.everything(f"billing-{domain}.dlq") for domain in DOMAINS}


def test_every_poison_is_one_dead_letter_and_the_rest_is_charged(broker: Broker, billing: list[BillingPod]) -> None:
    for number, (name, (value, headers, _, _)) in enumerate(POISON.items()):
        broker.put("postpaid" if number % 2 else "prepaid", value, [*headers, ("name", name)], b"k")
        broker.put("postpaid", good(), [("domain", b"marketing")], b"account-1")
    broker.flush()
    finish(broker, billing, 2 * len(POISON))

    found = dead_letters(broker)
    wanted = sorted((domain, error, name) for name, (_, _, domain, error) in POISON.items())
    said = ("dlq_error_class", "name")
    assert sorted((domain, *map(one.header, said)) for domain in DOMAINS for one in found[domain]) == wanted
    assert [str(one.outcome) for one in told(broker)] == ["charged"] * len(POISON)
    assert broker.everything("authentication") == []


def test_a_dead_letter_is_the_record_as_it_came(broker: Broker, billing: list[BillingPod]) -> None:
    headers = [("domain", b"marketing"), ("trace", b"\x00\xff"), ("trace", None), ("", b"")]
    broker.put("prepaid", b'{"to":"+12025550199"}', headers, b"\x00key", partition=1)
    broker.flush()
    finish(broker, billing, 1)
    (letter,) = dead_letters(broker)["marketing"]
    assert (letter.key, letter.value) == (b"\x00key", b'{"to":"+12025550199"}')
    assert list(letter.headers[: len(headers)]) == headers
    assert {name: text for name, text in letter.headers if name.startswith("dlq_")}.keys() == {
        "dlq_processor",
        "dlq_error_class",
        "dlq_error_message",
        "dlq_attempts",
        "dlq_topic",
        "dlq_partition",
        "dlq_offset",
        "dlq_first_failed_at",
        "dlq_last_failed_at",
    }
    where = [letter.header(f"dlq_{name}") for name in ("processor", "topic", "partition", "offset", "attempts")]
    assert where == ["billing-marketing", broker.name("prepaid"), "1", "0", "1"]
    why = letter.header("dlq_error_message")
    assert "accountId: Field required" in why
    assert "2025550199" not in why
    assert len(why) <= LONGEST_ERROR


def test_headers_that_cannot_be_read_stop_nobody(broker: Broker, billing: list[BillingPod]) -> None:
    put_with_a_header_name_that_is_no_text(broker, "postpaid")
    finish(broker, billing, 1)
    (letter,) = dead_letters(broker)["marketing"]
    assert (letter.value, letter.header("dlq_error_class")) == (GOOD, "UnknownDomain")
    assert letter.header("dlq_headers_lost") == "a header's name is not UTF-8"


def test_a_dead_letter_that_does_not_fit_is_never_skipped(broker: Broker, billing: list[BillingPod]) -> None:
    """Its processor stands still and says why, until somebody raises the topic's limit; the others go on."""
    marketing = billing[0]
    broker.put("postpaid", b"x" * 2_000_000, [("domain", b"marketing")], partition=0)
    broker.put("postpaid", GOOD, [("domain", b"marketing")], partition=0)
    broker.flush()
    turn_until(lambda: "MSG_SIZE_TOO_LARGE" in marketing.health.readiness().away.get("kafka", ""), marketing.step)
    assert broker.name("billing-marketing.dlq") in marketing.health.readiness().away["kafka"]
    broker.configure("billing-marketing.dlq", {"max.message.bytes": "3000000"})
    finish(broker, billing, 2)
    assert marketing.health.readiness().away == {}
    assert [len(letter.value or b"") for letter in broker.everything("billing-marketing.dlq")] == [2_000_000]
    assert len(broker.everything("marketing")) == 1
