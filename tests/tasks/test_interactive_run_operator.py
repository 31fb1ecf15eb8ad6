"""What a DAG author gets from DataloreInteractiveRunOperator."""

from __future__ import annotations

import pytest

from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreForbiddenError,
    DataloreSubmissionUnknownError,
)
from airflow_provider_datalore.operators.datalore import DataloreInteractiveRunOperator
from tests.lines import wrapped
from tests.tasks.conftest import Context, Datalore, TaskInstance


def operator(notebook_id: str = "ann/sales") -> DataloreInteractiveRunOperator:
    return DataloreInteractiveRunOperator(task_id="refresh", notebook_id=notebook_id)


@pytest.mark.parametrize("body", [{"json": {}}, {"text": ""}, {"html": "<p>ok</p>"}])
def test_it_starts_the_notebook_in_place_whatever_datalore_says_to_it(
    datalore: Datalore, context: Context, task_instance: TaskInstance, body: dict[str, object]
) -> None:
    datalore.answer(**body)
    operator().execute(context)
    [request] = datalore.requests
    assert (request.method, request.path) == ("POST", "/api/computation/v1/notebook")
    assert request.json == {"notebookId": "ann/sales"}
    assert task_instance.xcoms == {"notebook_url": f"{datalore.url}/notebook/ann/sales"}


def test_a_refusal_is_typed(datalore: Datalore, context: Context) -> None:
    datalore.answer(status=403)
    with pytest.raises(DataloreForbiddenError, match=wrapped("run notebook ann/sales interactively")):
        operator().execute(context)


def test_a_request_that_may_have_arrived_is_not_repeated(datalore: Datalore, context: Context) -> None:
    datalore.answer(status=502)
    with pytest.raises(DataloreSubmissionUnknownError, match=wrapped("ann/sales may be running")):
        operator().execute(context)
    assert len(datalore.requests) == 1


def test_a_wrong_id_fails_before_anything_is_sent(datalore: Datalore, context: Context) -> None:
    with pytest.raises(DataloreConfigurationError, match=wrapped("'sales'.*datalore_default")):
        operator("sales").execute(context)
    assert datalore.requests == []
