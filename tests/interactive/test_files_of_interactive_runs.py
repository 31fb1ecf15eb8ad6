"""What ``artifacts_to`` and ``export`` do for an interactive run: the notebook as it is after the run, as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from airflow_provider_datalore.api.notebook_models import Cell, CellOutcome
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreInteractiveRunFailedError,
    DataloreStorageError,
    RunState,
)
from airflow_provider_datalore.notebooks.from_cells import notebook_of
from tests.emulator.notebook_client import Notebook, control
from tests.interactive.conftest import (
    Context,
    Logged,
    Play,
    TaskInstance,
    Written,
    on_the_worker,
    operator,
)


def name_of(notebook: Notebook) -> str:
    return notebook.id.rpartition("/")[2]


def test_the_notebook_and_its_exports_are_written(
    play: Play, notebook: Written, context: Context, task_instance: TaskInstance, tmp_path: Path
) -> None:
    sales = notebook(
        nbformat.v4.new_markdown_cell("# Sales"), control("CHECKBOX", "big", value=True), "print('one')", "2"
    )
    play(operator(sales, artifacts_to=str(tmp_path / "{{ ds }}"), export=["html"]), context)
    folder = tmp_path / "{{ ds }}"
    name = name_of(sales)
    assert task_instance.xcoms["artifacts"] == [f"{folder}/{name}.ipynb", f"{folder}/{name}.html"]
    written = nbformat.read(folder / f"{name}.ipynb", as_version=4)
    assert [cell.cell_type for cell in written.cells] == ["markdown", "raw", "code", "code"]
    assert written.cells[2].outputs[0].text == "one\n"
    assert written.cells[3].outputs[0].data == {"text/plain": "2"}
    page = (folder / f"{name}.html").read_text()
    assert "Content-Security-Policy" in page
    assert ">Sales</h1>" in page


def test_the_failed_cell_is_in_the_files_and_the_failure_is_raised(
    notebook: Written, context: Context, task_instance: TaskInstance, tmp_path: Path
) -> None:
    sales = notebook("print('before')", "1 / 0")
    with pytest.raises(DataloreInteractiveRunFailedError):
        on_the_worker(operator(sales, artifacts_to=str(tmp_path), export=["html"]), context)
    assert len(task_instance.xcoms["artifacts"]) == 2
    page = (tmp_path / f"{name_of(sales)}.html").read_text()
    assert "ZeroDivisionError" in page
    assert 'celltag_datalore-failed"' in page


def test_a_folder_that_fails_after_the_run_is_said_and_hides_no_failure(
    notebook: Written, context: Context, tmp_path: Path, logged: Logged
) -> None:
    sales = notebook("1")
    (tmp_path / f"{name_of(sales)}.ipynb").mkdir()
    with pytest.raises(DataloreStorageError) as error:
        on_the_worker(operator(sales, artifacts_to=str(tmp_path)), context)
    assert error.value.state is RunState.SUCCEEDED
    failing = notebook("1 / 0", name="failing")
    (tmp_path / f"{name_of(failing)}.ipynb").mkdir()
    with pytest.raises(DataloreInteractiveRunFailedError):
        on_the_worker(operator(failing, artifacts_to=str(tmp_path), durable=False), context)
    assert "The notebook of the failed run was not written to" in logged()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"export": ["html"]}, "artifacts_to is not"),
        ({"export": ["nope"], "artifacts_to": "/tmp/x"}, "'nope', which is not an exporter"),
        ({"artifacts_to": "relative"}, "relative"),
        ({"artifacts_to": "/tmp/x", "wait_for_completion": False}, "artifacts_to can only be used"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(
    notebook: Written, context: Context, options: dict[str, Any], message: str
) -> None:
    sales = notebook("print(1)")
    with pytest.raises(DataloreConfigurationError) as error:
        on_the_worker(operator(sales, **options), context)
    assert message in str(error.value)
    assert sales.state() == "NOT_STARTED"


def test_what_datalore_does_not_hand_out_is_named() -> None:
    cells = [
        Cell(cell_id="a", cell_type="CODE", source="plot()"),
        Cell(cell_id="b", cell_type="SQL", source="select 1"),
    ]
    outputs = [
        {"outputType": "PLOT", "text": None},
        {"outputType": "PLOTLY", "text": '{"data": []}'},
        {"outputType": "VEGA", "text": "{"},
        {"outputType": "TABLE", "text": "<table></table>", "truncated": True},
        {"outputType": "NEW", "text": "x"},
    ]
    outcome = CellOutcome.model_validate({"outputs": outputs, "stderr": "careful", "errorMessage": "KeyError: 'x'"})
    made = json.loads(notebook_of(cells, {"a": outcome}))
    nbformat.validate(made)
    kinds = [each.get("data") or each.get("text") or each["ename"] for each in made["cells"][0]["outputs"]]
    assert kinds[0] == "careful"
    assert "open the notebook in Datalore" in kinds[1]["text/plain"]
    assert kinds[2:] == [
        {"application/vnd.plotly.v1+json": {"data": []}},
        {"text/plain": "{"},
        {"text/html": "<table></table>"},
        {"text/plain": "(Datalore cut this output.)"},
        "x",
        "KeyError",
    ]
    assert made["cells"][1]["outputs"] == []
