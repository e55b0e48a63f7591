"""Erasure of what is stored about a subscriber (GDPR, article 17): the number and the texts, never the ledger."""

from typing import Annotated

from pydantic import Field

from messaging_api.base import Model
from messaging_api.message import PhoneNumber


class ErasureRequest(Model):
    """The body of `POST /v1/erasures`: whose messages of the calling tenant."""

    to: PhoneNumber


class ErasureView(Model):
    """How many stored messages were erased; what was accepted before and is stored later will be, too."""

    erased: Annotated[int, Field(ge=0)]
