"""A failed interactive run says what has changed since the last one of the same task that succeeded."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from airflow_provider_datalore import xcom
from airflow_provider_datalore.exceptions import DataloreInteractiveRunFailedError
from airflow_provider_datalore.summary import summarize
from tests.emulator.notebook_client import Notebook, control
from tests.interactive.conftest import (
    TOKEN,
    Context,
    Logged,
    Play,
    TaskInstance,
    Written,
    on_the_worker,
    operator,
)


def edit(notebook: Notebook, position: int, source: str) -> None:
    """Edit a cell, as a user does in the editor."""
    notebook.json("cell/edit", cellId=notebook.cells()[position]["cellId"], newContent=source)


def next_dag_run(task_instance: TaskInstance) -> None:
    """What the last DAG run pushed is that of an earlier one."""
    task_instance.earlier, task_instance.xcoms = {**task_instance.earlier, **task_instance.xcoms}, {}


def failing(play: Play, notebook: Notebook, context: Context, **options: Any) -> DataloreInteractiveRunFailedError:
    with pytest.raises(DataloreInteractiveRunFailedError) as failed:
        play(operator(notebook, **options), context)
    return failed.value


def test_the_edited_lines_the_parameters_and_the_cells_before_are_named(
    play: Play, notebook: Written, context: Context, task_instance: TaskInstance
) -> None:
    sales = notebook(control("DROPDOWN", "region", items=["North", "South"]), "rows = [1, 2]", "print(sum(rows))")
    play(operator(sales, parameters={"region": "North"}), context)
    next_dag_run(task_instance)
    edit(sales, 2, "total = 0\nprint(sum(row))")
    error = failing(play, sales, context, parameters={"region": "South"})
    assert error.changes is not None
    assert [(it.number, it.edited, it.added, it.removed) for it in error.changes.cells] == [(3, True, False, False)]
    (parameter,) = error.changes.parameters
    assert (parameter.name, parameter.before, parameter.now) == ("region", "North", "South")
    assert str(error).endswith(str(error.changes))
    lines = str(error.changes).splitlines()
    assert lines[0].startswith("Since the last success (20")
    assert lines[1:6] == [
        "  parameter region: 'North' -> 'South'",
        "  cell 3 was edited (2 lines)",
        "    - print(sum(rows))",
        "    + total = 0",
        "    + print(sum(row))",
    ]
    assert "What changed" in [part.label for part in summarize({**context, "exception": error}).parts]
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  (Airflow does so)
    assert str(again) == str(error)


def test_a_failure_in_between_leaves_the_last_success(
    notebook: Written, context: Context, task_instance: TaskInstance
) -> None:
    sales = notebook("a = 1", "print(a)")
    on_the_worker(operator(sales), context)
    for source in ("1 / 0", "2 / 0"):
        next_dag_run(task_instance)
        edit(sales, 1, source)
        error = failing(on_the_worker, sales, context)
        assert error.changes is not None
        (change,) = error.changes.cells
        assert change.lines == ("- print(a)", f"+ {source}")


def test_nothing_changed_is_said_and_without_a_success_nothing_is_compared(
    notebook: Written, context: Context, task_instance: TaskInstance
) -> None:
    sales = notebook("import os", "if os.path.exists('bad'): 1 / 0", "open('bad', 'w').close()")
    on_the_worker(operator(sales), context)
    next_dag_run(task_instance)
    error = failing(on_the_worker, sales, context)
    assert "nothing in the notebook's code or its parameters changed" in str(error.changes)
    task_instance.earlier = {}
    task_instance.xcoms = {}
    assert failing(on_the_worker, sales, context).changes is None


def test_new_removed_and_worksheet_cells_are_named(
    notebook: Written, context: Context, task_instance: TaskInstance
) -> None:
    sales = notebook("a = 1", "b = 2", "print(a)")
    on_the_worker(operator(sales), context)
    next_dag_run(task_instance)
    sales.json("worksheet/create", name="Second", worksheetIndex=1)
    (first,) = sales.json("cells", worksheetIndex=1)["cells"]
    sales.json("cell/edit", cellId=first["cellId"], newContent="1 / 0")
    sales.call("cell/delete", cellId=sales.cells()[1]["cellId"])
    error = failing(on_the_worker, sales, context)
    assert [str(change) for change in (error.changes.cells if error.changes else ())] == [
        "cell 1 of worksheet 2 is new (1 line)",
        "cell 2 was removed (1 line)",
    ]


def test_a_secret_in_the_code_is_kept_nowhere(notebook: Written, context: Context, task_instance: TaskInstance) -> None:
    from airflow_provider_datalore.notebooks.stored_code import from_text

    sales = notebook(f"token = {TOKEN!r}", "print(1)")
    on_the_worker(operator(sales), context)
    kept = task_instance.xcoms["history"]["last_success"]["code"]
    assert [cell.number for cell in from_text(kept)] == [1, 2]
    assert TOKEN not in str([from_text(kept), from_text(task_instance.xcoms[xcom.CODE])])


@pytest.mark.parametrize("code", ["", "x", "eJw=", 5, None])
def test_an_edited_xcom_fails_nothing(
    notebook: Written, context: Context, task_instance: TaskInstance, code: object
) -> None:
    sales = notebook("1 / 0")
    last = {"run_id": "", "ended_at": "2026-11-25T02:00:00+00:00", "parameters": {}, "code": code}
    task_instance.earlier = {xcom.HISTORY: {"durations": [], "last_success": last}}
    error = failing(on_the_worker, sales, context)
    assert "the code was not compared, because the code of that run was not kept" in str(error.changes)


def test_a_run_that_takes_far_longer_than_usual_is_told(
    notebook: Written, context: Context, task_instance: TaskInstance, logged: Logged
) -> None:
    task_instance.earlier = {xcom.HISTORY: {"durations": [0.1, 0.1, 0.1], "last_success": None}}
    on_the_worker(operator(notebook("import time", "time.sleep(1.2)")), context)
    assert "The interactive run took 1 s, which is" in logged()
    assert task_instance.xcoms[xcom.HISTORY]["durations"][3] >= 1
    assert "Duration: 1 s (usually 0 s)" in summarize(context).text
