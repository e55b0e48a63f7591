"""What /openapi.json promises, held against a real gateway and be-messaging: whatever is asked, right or wrong."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.specs.openapi.schemas import OpenApiSchema

from testkit.posting import Caller
from testkit.processes import Processor, a_gateway_config, running

KEY = "key-of-shop"
HEADERS = {"X-API-Key": KEY}
OPERATIONS = 9
PROMISES = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    ignored_auth,
]


@pytest.fixture
def description(pod: Processor, tmp_path: Path) -> Iterator[OpenApiSchema]:
    with running(a_gateway_config(pod.url, tmp_path, {"shop": KEY}), tmp_path) as gateway:
        yield schemathesis.openapi.from_url(f"{gateway.await_ready().url}/openapi.json", headers=HEADERS)


def reaching_further(case: Case[Any], account: str) -> Case[Any]:
    """The same with what a right request refers to: else nearly all would end at the first name that nobody knows."""
    known = {"accountId": account, "domain": "marketing", "currency": "USD"}
    if isinstance(case.body, dict):
        case.body |= {name: value for name, value in known.items() if name in case.body}
    if case.path.startswith("/v1/accounts"):
        case.path_parameters["id"] = account
    return case


@pytest.mark.timeout(300)
def test_every_answer_is_one_that_is_described(description: OpenApiSchema, pod: Processor) -> None:
    account = Caller(pod.url).new_account("Prepaid")
    operations = [found.ok() for found in description.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == OPERATIONS
    for operation in operations:
        right, wrong = (operation.as_strategy(generation_mode=mode) for mode in GenerationMode)

        @settings(max_examples=100, derandomize=True, deadline=None, suppress_health_check=[*HealthCheck])
        @given(right | wrong | right.map(lambda case: reaching_further(case, account)))
        def ask(case: Case[Any]) -> None:
            case.call_and_validate(checks=PROMISES, headers=HEADERS, timeout=15)

        ask()
