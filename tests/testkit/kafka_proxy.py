"""A TCP proxy that knows Kafka's frames: a test holds, drops, doubles or cuts single requests and responses.

A frame is an int32 size and that many bytes; a request begins with int16 API key, int16 version and int32 correlation
id, a response with the correlation id of its request. The broker needs a listener that is advertised at the proxy's
port (`proxied_kafka`), or its clients would go past the proxy after their first question.

What a client has sent arrives, as in a network: a request that is held reaches the broker once it is released, also
when its client has long gone.
"""

import asyncio
import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from pathlib import Path

from messaging_cli.local import services
from messaging_cli.local.process import Service

_connections = itertools.count()
_SIZE = struct.Struct(">i")
_LAST_ANSWERS_SECONDS = 5.0
_RST_AT_CLOSE = struct.pack("ii", 1, 0)


class Api(IntEnum):
    """The keys of the requests that tests are about (https://kafka.apache.org/protocol#protocol_api_keys)."""

    PRODUCE = 0
    METADATA = 3
    OFFSET_FETCH = 9
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28


class Direction(Enum):
    REQUEST = "request"
    RESPONSE = "response"


class Action(Enum):
    """What becomes of a frame that a rule is about."""

    PASS = "pass"
    HOLD = "hold"
    """It waits until the rule is released; what comes after it on its connection does not."""
    HOLD_AND_CUT = "hold and cut"
    """The same, and its client's connection ends at once, so that the client asks again on another."""
    SWALLOW = "swallow"
    CUT = "cut"
    """The client's connection ends instead."""
    RESET = "reset"
    """The same, without saying goodbye (TCP RST)."""
    DOUBLE = "double"


@dataclass(frozen=True)
class Frame:
    """One request or response as it is on the wire, without its size."""

    direction: Direction
    api: int
    payload: bytes
    connection: int

    @property
    def correlation(self) -> tuple[int, int]:
        """What a request and its response have in common: their connection, and a number on it."""
        (number,) = _SIZE.unpack_from(self.payload, 4 if self.direction is Direction.REQUEST else 0)
        return self.connection, number

    @property
    def ending_producer(self) -> bytes:
        """Producer id (int64) and epoch (int16) of a request EndTxn before version 3; a boolean follows."""
        assert (self.api, self.direction) == (Api.END_TXN, Direction.REQUEST)
        return self.payload[-11:-1]

    def end_of_transaction_error(self) -> int:
        """Kafka's error code in a response to EndTxn before version 3: correlation id, int32 throttled, the code."""
        assert (self.api, self.direction) == (Api.END_TXN, Direction.RESPONSE)
        return int.from_bytes(self.payload[8:10], "big", signed=True)


@dataclass
class Rule:
    """The first `times` frames of that kind that `when` accepts; `seen` are those that it was applied to."""

    api: Api
    direction: Direction
    action: Action
    times: int
    when: Callable[[Frame], bool]
    seen: list[Frame] = field(default_factory=list)
    _released: Future[None] = field(default_factory=Future)

    def release(self) -> None:
        """Lets go what is held."""
        self._released.set_result(None)

    def applies(self, frame: Frame) -> bool:
        mine = (frame.api, frame.direction) == (self.api, self.direction)
        return mine and len(self.seen) < self.times and self.when(frame)

    async def held(self) -> None:
        """Returns once the rule is released."""
        await asyncio.shield(asyncio.wrap_future(self._released))


class KafkaProxy:
    """Passes on what comes to `port`, by its rules; runs in a thread of its own."""

    def __init__(self, port: int, broker_port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self._port, self._broker_port = port, broker_port
        self._rules: list[Rule] = []
        self._listening = threading.Event()
        self._stopping: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="kafka-proxy", daemon=True)

    def rule(
        self,
        api: Api,
        direction: Direction,
        action: Action = Action.PASS,
        times: int = 1,
        when: Callable[[Frame], bool] = lambda _: True,
    ) -> Rule:
        """From now on; of two rules for a frame the older one counts."""
        rule = Rule(api, direction, action, times, when)
        self._rules = [*self._rules, rule]
        return rule

    def answer_to(self, request: Rule) -> Rule:
        """Sees the response to the first request that a rule was applied to."""
        wanted = request.seen[0].correlation
        return self.rule(request.api, Direction.RESPONSE, when=lambda answer: answer.correlation == wanted)

    def rule_for(self, frame: Frame) -> Rule | None:
        """The one to apply, which notes the frame."""
        found = next((rule for rule in self._rules if rule.applies(frame)), None)
        if found:
            found.seen.append(frame)
        return found

    def start(self) -> None:
        self._thread.start()
        assert self._listening.wait(10), f"{self.address} cannot be listened to"

    def stop(self) -> None:
        self._stopping.set_result(None)
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        async with await asyncio.start_server(self._talk, "127.0.0.1", self._port):
            self._listening.set()
            await asyncio.wrap_future(self._stopping)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):  # the end of the proxy is no failure
            broker_reader, broker_writer = await asyncio.open_connection("127.0.0.1", self._broker_port)
            await _Talk(self, writer, broker_writer).go(reader, broker_reader)


class _Talk:
    """One client's connection and its counterpart to the broker."""

    def __init__(self, proxy: KafkaProxy, client: asyncio.StreamWriter, broker: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._client, self._broker = client, broker
        self._unanswered: dict[tuple[int, int], int] = {}
        self._held: list[asyncio.Task[None]] = []
        self._number = next(_connections)

    async def go(self, client: asyncio.StreamReader, broker: asyncio.StreamReader) -> None:
        """Until one of the two is gone; a broker has time for its last answers, or a late request could be lost."""
        answering = asyncio.create_task(self._pass_responses(broker))
        try:
            await self._pass_requests(client)
            await asyncio.gather(*self._held)
            if self._unanswered:
                await asyncio.wait([answering], timeout=_LAST_ANSWERS_SECONDS)
        finally:
            answering.cancel()
            self._broker.close()
            self._client.close()

    async def _pass_requests(self, client: asyncio.StreamReader) -> None:
        async for payload in _payloads(client):
            frame = Frame(Direction.REQUEST, int.from_bytes(payload[:2], "big"), payload, self._number)
            self._unanswered[frame.correlation] = frame.api
            await self._treat(frame, self._broker)

    async def _pass_responses(self, broker: asyncio.StreamReader) -> None:
        """A response that nobody waits for is the second one to a doubled request."""
        async for payload in _payloads(broker):
            frame = Frame(Direction.RESPONSE, -1, payload, self._number)
            api = self._unanswered.pop(frame.correlation, None)
            if api is not None:
                await self._treat(replace(frame, api=api), self._client)
            if self._client.is_closing() and not self._unanswered:
                return
        self._client.close()

    async def _treat(self, frame: Frame, target: asyncio.StreamWriter) -> None:
        rule = self._proxy.rule_for(frame)
        action = rule.action if rule else Action.PASS
        if action in (Action.CUT, Action.HOLD_AND_CUT):
            self._client.close()
        if action is Action.RESET:
            self._client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_AT_CLOSE)
            self._client.transport.abort()
        if rule and action in (Action.HOLD, Action.HOLD_AND_CUT):
            self._held.append(asyncio.create_task(self._pass_later(frame, target, rule)))
        elif action not in (Action.CUT, Action.RESET, Action.SWALLOW):
            await self._pass(frame, target, 2 if action is Action.DOUBLE else 1)

    async def _pass_later(self, frame: Frame, target: asyncio.StreamWriter, rule: Rule) -> None:
        await rule.held()
        await self._pass(frame, target, 1)

    async def _pass(self, frame: Frame, target: asyncio.StreamWriter, times: int) -> None:
        target.write((_SIZE.pack(len(frame.payload)) + frame.payload) * times)
        with contextlib.suppress(OSError):  # a client that is gone misses its answer
            await target.drain()


async def _payloads(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Frame by frame until the other side is gone."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while True:
            (size,) = _SIZE.unpack(await reader.readexactly(_SIZE.size))
            yield await reader.readexactly(size)


@contextmanager
def proxied_kafka(folder: Path) -> Iterator[tuple[Service, KafkaProxy]]:
    """A broker, and the proxy that leads to it; who uses the broker's own address is not disturbed by any rule."""
    port, broker_port = services.free_port(), services.free_port()
    beside = {"PROXIED": (f"127.0.0.1:{broker_port}", f"127.0.0.1:{port}")}
    with services.kafka(folder, beside=beside) as broker:
        proxy = KafkaProxy(port, broker_port)
        proxy.start()
        try:
            yield broker, proxy
        finally:
            proxy.stop()
