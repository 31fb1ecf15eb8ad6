"""The emulator conforms to its own OpenAPI document, with generated requests."""

from __future__ import annotations

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_schema_conformance,
    status_code_conformance,
)

from airflow_provider_datalore.emulator.testing import EmulatorProcess

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    ignored_auth,
]


def test_every_response_is_in_the_document(datalore: EmulatorProcess) -> None:
    document = schemathesis.openapi.from_url(f"{datalore.url}/emulator/openapi.json")
    operations = [found.ok() for found in document.get_all_operations()]
    assert {operation.path for operation in operations} >= {"/api/run/v1/notebook", "/api/run/v1/{run_id}"}
    for operation in operations:

        @given(case=operation.as_strategy())
        @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
        def ask(case: Case) -> None:
            case.call_and_validate(headers={"Authorization": f"Bearer {datalore.token}"}, checks=CHECKS)

        ask()
