"""What sample traffic consists of, pure: the file behind `--mix`, and the messages that it stands for.

Promises: of as many messages as the weights add up to, each domain and each billing type gets exactly its weight; the
same mix gives the same messages; recipients are numbers that the North American Numbering Plan reserves for fiction.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Annotated, Any, Self, TypeVar

import yaml
from pydantic import ConfigDict, Field, ValidationError, model_validator

from messaging_api.account import AccountId
from messaging_api.base import Domain, Model
from messaging_api.message import MessageRequest
from messaging_api.topology import BillingType
from messaging_cli.errors import CliError
from messaging_cli.sources import spec_of

T = TypeVar("T")
Weight = Annotated[int, Field(ge=1, le=1000)]
BodyLength = Annotated[int, Field(ge=1, le=1600)]
FictionalNumber = Annotated[str, Field(pattern=r"^\+120255501[0-9]{2}$")]


class Part(Model):
    """A piece of a mix: nothing unknown, nothing converted."""

    model_config = ConfigDict(strict=True)


class BodyLengths(Part):
    """Bodies have from `shortest` to `longest` characters, all lengths alike."""

    shortest: BodyLength = 20
    longest: BodyLength = 320

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.shortest > self.longest:
            raise ValueError("shortest is above longest")
        return self


class Recipients(Part):
    """Messages go to the numbers from `first` to `last`, all alike."""

    first: FictionalNumber = "+12025550100"
    last: FictionalNumber = "+12025550199"

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first > self.last:
            raise ValueError("first is above last")
        return self


class Mix(Part):
    """Traffic; weights say how many of how many."""

    domains: Annotated[dict[Domain, Weight], Field(min_length=1)]
    billing_types: Annotated[dict[Annotated[BillingType, Field(strict=False)], Weight], Field(min_length=1)]
    accounts: Annotated[int, Field(ge=1, le=1000)] = 40
    body_lengths: BodyLengths = BodyLengths()
    recipients: Recipients = Recipients()
    seed: int = 1

    @model_validator(mode="after")
    def _an_account_for_each_billing_type(self) -> Self:
        if self.accounts < len(self.billing_types):
            raise ValueError("accounts: fewer than billingTypes, and each needs one")
        return self


def read_mix(path: Path) -> Mix:
    """The mix of a YAML file."""
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise CliError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CliError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    return mix_of(document, str(path))


def mix_of(document: object, source: str) -> Mix:
    """The mix in a document; `source` is what a complaint is about."""
    try:
        return Mix.model_validate(document)
    except ValidationError as error:
        raise CliError(f"{source}: {_complaint(error)}") from error


def mix_for(topology: Mapping[str, Any], source: str) -> Mix:
    """Traffic for all domains and billing types of a MessagingTopology, all alike."""
    spec = spec_of(topology, source)
    return Mix(
        domains={billing.domain: 1 for billing in spec.billing},
        billing_types={route.billing_type: 1 for route in spec.messaging.routes},
    )


def accounts_of(mix: Mix) -> dict[AccountId, BillingType]:
    """The accounts that the messages of a mix are charged to, and how each pays.

    Adams' method of apportionment: every billing type gets one, then whichever has the fewest for its weight.
    """
    counts = dict.fromkeys(mix.billing_types, 0)
    accounts: dict[AccountId, BillingType] = {}
    for number in range(mix.accounts):
        next_type = max(counts, key=lambda kind: mix.billing_types[kind] / counts[kind] if counts[kind] else math.inf)
        counts[next_type] += 1
        accounts[f"account-{number:02}"] = next_type
    return accounts


def messages_of(mix: Mix) -> Iterator[MessageRequest]:
    """The messages of a mix, without end."""
    random = Random(mix.seed)
    holders: dict[BillingType, list[AccountId]] = {}
    for account, billing_type in accounts_of(mix).items():
        holders.setdefault(billing_type, []).append(account)
    domains, billing_types = _dealt(mix.domains, random), _dealt(mix.billing_types, random)
    for number, domain, billing_type in zip(itertools.count(), domains, billing_types, strict=False):
        yield MessageRequest(
            account_id=random.choice(holders[billing_type]),
            domain=domain,
            to=f"+{random.randint(int(mix.recipients.first), int(mix.recipients.last))}",
            body=_body(number, domain, random.randint(mix.body_lengths.shortest, mix.body_lengths.longest)),
        )


def _dealt(weights: Mapping[T, int], random: Random) -> Iterator[T]:
    """Deals from a deck that holds each key as often as its weight says, and shuffles it for every round."""
    deck = [key for key, weight in weights.items() for _ in range(weight)]
    while True:
        random.shuffle(deck)
        yield from deck


def _body(number: int, domain: str, length: int) -> str:
    sentence = f"Message {number} of {domain}. "
    return (sentence * (length // len(sentence) + 1))[:length]


def _complaint(error: ValidationError) -> str:
    """Field by field, in one line, spelled as in the file."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(": ".join(filter(None, [".".join(map(str, p["loc"])), p["msg"]])) for p in problems)
