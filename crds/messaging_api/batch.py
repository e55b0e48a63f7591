"""The bodies of `POST /v1/messages:batch`."""

from typing import Annotated

from pydantic import Field

from messaging_api.base import Model
from messaging_api.message import IdempotencyKey, MessageRequest, MessageView, Problem


class BatchItem(MessageRequest):
    """A message, and what stands for its `Idempotency-Key`."""

    idempotency_key: IdempotencyKey | None = None


class BatchRequest(Model):
    """Messages of any accounts and domains."""

    messages: Annotated[list[BatchItem], Field(min_length=1, max_length=100)]


class BatchResult(Model):
    """What `POST /v1/messages` would have answered: 202 and the message, or another status and the problem."""

    status: int
    message: MessageView | None = None
    problem: Problem | None = None


class BatchView(Model):
    """A result for each message, in the order of the request."""

    results: list[BatchResult]
