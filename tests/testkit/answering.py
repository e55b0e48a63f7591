"""A third party made of a function, and a sink's provider in front of it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import httpx

from messaging_api.message import BilledMessage
from messaging_api.topology import ThirdParty
from messaging_processors.sink.third_party import Attempt, Provider
from testkit.samples import a_billed_message

Answering = Callable[[httpx.Request], httpx.Response]


@contextmanager
def a_provider(answering: Answering, in_flight: int = 1) -> Iterator[Provider]:
    config = ThirdParty(url="https://user:secret@provider.example/messages", max_in_flight=in_flight)
    provider = Provider(config, httpx.MockTransport(answering))
    yield provider
    provider.close()


def attempt(
    answering: Answering, messages: list[BilledMessage], give_up: Callable[[], bool] = lambda: False
) -> Attempt:
    with a_provider(answering) as provider:
        return provider.attempt(messages, (), give_up)


def answer(status: int, headers: Mapping[bytes, bytes] | None = None) -> httpx.Response:
    """As it comes from a network: its content is still to be read."""
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(b"thanks"))


def always(status: int) -> Answering:
    return lambda _: answer(status)


def several(count: int) -> list[BilledMessage]:
    """Messages of as many accounts."""
    return [a_billed_message(f"account-{number}") for number in range(count)]
