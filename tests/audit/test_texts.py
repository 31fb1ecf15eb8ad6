"""No text of a notebook or of Datalore reaches the log with terminal codes, or as a line of its own."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_provider_datalore.api import run_api
from airflow_provider_datalore.api.calls import Response
from airflow_provider_datalore.api.controls import settings_for
from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.api.notebook_models import Cell, Kernel
from airflow_provider_datalore.exceptions import DataloreConfigurationError, DataloreError
from airflow_provider_datalore.hooks.run_outputs import read_outputs
from airflow_provider_datalore.hooks.shown_parameters import shown_parameters
from airflow_provider_datalore.notebooks.failure import find_failure
from airflow_provider_datalore.tasks.explaining import failure_lines
from tests.notebooks.files import cell, displayed, failed, notebook, scrap

pytestmark = pytest.mark.audit

FORGED = "[2026-01-31] {taskinstance.py:1} INFO - Marking task as SUCCESS"
HOSTILE = f"x\x1b[2J\x1b]0;title\x07\u202e\u061cy\r\n{FORGED}\u2028{FORGED}\u2029{FORGED}. {FORGED}; {FORGED}"
RUN = {"runId": "r", "notebookId": "ann/sales", "artifacts": [{"name": "a.ipynb", "path": "/a.ipynb"}]}


def is_clean(message: str) -> bool:
    """Whether it has no terminal codes, and no line that looks like another line of the log."""
    return not re.search(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]", message
    ) and not re.search(r"(?m)^\[", message)


def test_the_check_itself_finds_both() -> None:
    assert not is_clean(f"a\n{FORGED}")
    assert not is_clean("\x1b[2J")


@pytest.mark.parametrize(
    "content",
    [
        notebook(cell(displayed(**{HOSTILE: "data"}), tags=("xcom:it",))),
        notebook(cell({"output_type": HOSTILE}, tags=("xcom:it",))),
        notebook(cell(displayed(**{"image/png": "x"}), tags=(HOSTILE, "xcom:it"))),
        notebook(cell(displayed(**{"image/png": "x"}), tags=("xcom:it",), source=HOSTILE)),
        notebook(cell(scrap("it", 1, HOSTILE))),
        notebook(cell(scrap(HOSTILE, 1))),
    ],
    ids=["media type", "output type", "tag", "source", "encoder", "name"],
)
def test_an_output_that_cannot_be_used_is_described_on_one_line(content: bytes) -> None:
    with pytest.raises(DataloreError) as error:
        read_outputs(Run.model_validate(RUN), ["it"], lambda _, receive: receive(iter([content])))
    assert is_clean(str(error.value))


@pytest.mark.parametrize("name", ["runId", "notebookId", "userId", "status", "updateReport"])
def test_a_run_contains_no_such_text(name: str) -> None:
    run = Run.model_validate({**RUN, "endTime": "2026-01-31T08:00:00Z", "success": False, name: HOSTILE})
    with pytest.raises(DataloreError) as error:
        run.raise_for_failure()
    assert is_clean(f"{error.value} {run.status}")


def test_neither_do_a_kernel_and_a_cell() -> None:
    kernel = Kernel.model_validate({"state": HOSTILE, "runningCellId": HOSTILE})
    described = Cell.model_validate({"cellId": HOSTILE, "cellType": HOSTILE, "executionStatus": HOSTILE})
    assert is_clean(f"{kernel.state}{kernel.running_cell_id}")
    assert is_clean(f"{described.cell_id}{described.cell_type}{described.execution_status}")


@pytest.mark.parametrize(
    "control",
    [
        {"variable": "n", "controlType": HOSTILE},
        {"variable": HOSTILE, "controlType": "SLIDER"},
        {"variable": "n", "controlType": "SLIDER", "min": HOSTILE, "max": 1},
        {"variable": "n", "controlType": "SLIDER", "min": 0, "max": HOSTILE},
        {"variable": "n", "controlType": "SLIDER", "min": 0, "max": [HOSTILE] * 1000},
        {"variable": "n", "controlType": "DROPDOWN", "items": [HOSTILE]},
    ],
    ids=["type", "variable", "min", "max", "long max", "items"],
)
def test_a_control_is_described_on_one_short_line(control: dict[str, Any]) -> None:
    cells = [Cell.model_validate({"cellId": "c", "cellType": "CONTROL", "data": {"control": control}})]
    with pytest.raises(DataloreConfigurationError) as error:
        settings_for(cells, {"n": "5"})
    assert is_clean(str(error.value))
    assert len(str(error.value)) < 2000


@pytest.mark.parametrize("hostile", [HOSTILE, FORGED], ids=["hostile", "forged"])
@pytest.mark.parametrize("place", ["error_name", "error_value", "traceback"])
def test_the_lines_of_a_failure_are_indented(place: str, hostile: str) -> None:
    texts: dict[str, Any] = {"error_name": "KeyError", "error_value": "'x'", "traceback": "KeyError"}
    texts[place] = hostile
    error = failed(texts["error_name"], texts["error_value"], [texts["traceback"]])
    failure = find_failure(notebook(cell(error, source=HOSTILE, tags=(HOSTILE,), count=1)))
    assert failure is not None
    assert is_clean(f"Run r failed.\n{failure}")
    summary, lines = failure_lines("ann/sales", failure)
    assert is_clean(str(DataloreError("\n".join([summary, *lines]))))
    assert "\n" not in failure.error_name


def test_the_body_of_a_response_is_repeated_on_one_line() -> None:
    call = run_api.get_run("r")
    for body in (HOSTILE.encode(), b'{"message": "x\\n' + FORGED.encode() + b'"}'):
        response = Response("connection 'dl'", 400, "https://dl.example/api", 0.0, {"location": HOSTILE}, body)
        with pytest.raises(DataloreError) as error:
            run_api.read_run(call, response, "r")
        assert is_clean(str(error.value))


@pytest.mark.parametrize("text", [FORGED, "2026-01-31T08:00:00Z [info     ] Marking task as SUCCESS", "{task.py} INFO"])
@pytest.mark.parametrize("before", range(0, 110, 5))
def test_the_layout_of_an_error_puts_no_such_text_at_the_start_of_a_line(before: int, text: str) -> None:
    """An error continues on a new line after the sentence or the clause that fits into its first line."""
    for end in (". ", "; ", "! ", ", "):
        error = DataloreError(f"Run {'x' * before} of notebook ann/sales{end}{text}{end}{text * 3} failed.")
        assert not re.search(r"(?m)^[\[{\d]", str(error)), str(error)


def test_parameters_are_shown_on_one_line() -> None:
    assert is_clean(shown := shown_parameters({"region": HOSTILE, HOSTILE: [HOSTILE]}))
    assert "\n" not in shown
