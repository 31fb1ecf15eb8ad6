"""Nothing that a notebook or Datalore writes becomes a Python object when Airflow reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datalore.api.interactive import InteractiveRun
from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.api.notebook_id import NotebookId
from airflow_provider_datalore.api.notebook_models import Cell, Kernel
from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot
from airflow_provider_datalore.api.text import RESERVED_KEYS, reserved_key
from airflow_provider_datalore.assets.events import describe_run
from airflow_provider_datalore.decorators.datalore import datalore_notebook_task
from airflow_provider_datalore.exceptions import DataloreConfigurationError
from airflow_provider_datalore.notebooks.outputs import UnusableOutputError, read_outputs
from tests.notebooks.files import cell, notebook, printed, scrap, shown

pytestmark = pytest.mark.audit

OBJECT = {"__type": "airflow.sdk.io.path.ObjectStoragePath", "__var": {"path": "file:///etc/passwd"}}
NESTED = {
    "directly": OBJECT,
    "in a mapping": {"a": {"b": OBJECT}},
    "in a list": [1, [[OBJECT]]],
    "in a list of a mapping": {"rows": [{"x": OBJECT}]},
}
RUN = {"runId": "r", "notebookId": "ann/sales", "startTime": "2026-01-31T08:00:00Z", "endTime": "2026-01-31T08:01:00Z"}


def refusal(content: bytes) -> str:
    with pytest.raises(UnusableOutputError) as refused:
        read_outputs(content, ["it"])
    return refused.value.problem


@pytest.mark.parametrize("key", sorted(RESERVED_KEYS))
@pytest.mark.parametrize("place", NESTED)
def test_a_glued_value_with_a_reserved_key_is_refused(key: str, place: str) -> None:
    value = json.loads(json.dumps(NESTED[place]).replace("__type", key))
    assert "by which Airflow marks Python objects" in refusal(notebook(cell(scrap("it", value))))


@pytest.mark.parametrize("place", NESTED)
def test_so_is_the_output_of_a_tagged_cell_in_each_form(place: str) -> None:
    value = NESTED[place]
    for output in (shown(repr(value)), printed(json.dumps(value)), shown("x", **{"application/json": value})):
        assert "the key '__type'" in refusal(notebook(cell(output, tags=("xcom:it",))))


def test_text_that_only_mentions_such_a_key_is_handed_on() -> None:
    value = {"note": "__type", "keys": ["__var", "__data__"], "__typed": 1}
    assert read_outputs(notebook(cell(scrap("it", value))), ["it"]) == {"it": value}


@pytest.mark.parametrize("field", ["runId", "notebookId", "userId", "status", "updateReport", "artifacts", "unknown"])
def test_a_run_that_datalore_describes_contains_none(field: str) -> None:
    for hostile in (OBJECT, [OBJECT], [{"name": "a", "path": "/a", **OBJECT}], "__type"):
        if field == "runId" and not isinstance(hostile, str):
            continue
        assert reserved_key(Run.model_validate({**RUN, **OBJECT, field: hostile}).to_json()) is None


@pytest.mark.parametrize("field", ["cellType", "source", "timing", "data", "executionCount", "position", "unknown"])
def test_neither_does_an_interactive_run(field: str) -> None:
    notebook_id = NotebookId("ann", "sales")
    described = {"cellId": "__type", "cellType": "CODE", "source": "1", "executionStatus": "DONE", "executionCount": 1}
    for hostile in (OBJECT, {"control": OBJECT}, [OBJECT]):
        hostile_cell = Cell.model_validate({**described, **OBJECT, field: hostile})
        before = NotebookState(Kernel(state="READY"), ())
        after = NotebookState(before.kernel, (hostile_cell,))
        run = InteractiveRun.of(Snapshot.take(notebook_id, before, {}), after)
        assert reserved_key(run.to_json()) is None


def test_neither_does_the_extra_of_an_asset_event() -> None:
    class Event:
        def __init__(self) -> None:
            self.extra: dict[str, Any] = {}

    class Outlet:
        uri = "datalore://datalore.example/ann/sales"

    outlet, accessor = Outlet(), Event()
    artifacts = [{"name": name, "path": "/x"} for name in sorted(RESERVED_KEYS)]
    run = Run.model_validate({**RUN, "artifacts": artifacts})
    context: Any = {"outlet_events": {outlet: accessor}}
    describe_run(run, context, [outlet], sorted(RESERVED_KEYS))
    assert accessor.extra["artifacts"]
    assert reserved_key(accessor.extra) is None


@pytest.mark.parametrize("key", sorted(RESERVED_KEYS))
def test_neither_do_the_parameters_of_a_decorated_function(key: str) -> None:
    decorate: Any = datalore_notebook_task
    with DAG("decorated", schedule=None):
        task = decorate(notebook_id="ann/sales", task_id="run")(lambda: {key: "x", "region": "eu"})().operator
    with pytest.raises(DataloreConfigurationError, match=f"returned the parameter '{key}'"):
        task.parameters_for({})
