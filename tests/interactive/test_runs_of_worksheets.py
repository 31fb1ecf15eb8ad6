"""Interactive runs of notebooks with several worksheets, on a worker or in the triggerer: the same."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from airflow_provider_datalore.exceptions import DataloreInteractiveRunFailedError, DataloreWorksheetsNotRunError
from tests.emulator.emulator_client import gate, gate_pid, wait_until
from tests.interactive.conftest import Context, Play, TaskInstance, Written, meanwhile, operator


def on(worksheet: int, source: str, **more: Any) -> NotebookNode:
    """A cell on a worksheet."""
    cell: NotebookNode = nbformat.v4.new_code_cell(source, metadata={"datalore": {"worksheet": worksheet, **more}})
    return cell


def test_all_worksheets_of_a_run_that_succeeds_are_in_its_outcome(
    play: Play, notebook: Written, context: Context, task_instance: TaskInstance
) -> None:
    sales = notebook(on(1, "print(a + 1)"), "a = 1", on(2, "3"))
    run = play(operator(sales), context)
    assert run["success"] is True
    found = [(cell["worksheet"], cell["position"], cell["execution_status"]) for cell in run["cells"]]
    assert found == [(0, 0, "VALID"), (1, 0, "VALID"), (2, 0, "VALID")]
    assert task_instance.xcoms["run"] == run


def test_a_cell_that_fails_on_the_second_worksheet_fails_the_task(
    play: Play, notebook: Written, context: Context, task_instance: TaskInstance
) -> None:
    sales = notebook("values = {}", on(1, "print('so far')"), on(1, "values['sold']"), on(2, "3"))
    with pytest.raises(DataloreInteractiveRunFailedError) as failed:
        play(operator(sales), context)
    failure = failed.value.failure
    assert failure is not None
    assert (failure.number, failure.error) == (2, "KeyError: 'sold'")
    assert "cell 2 of worksheet 2" in failure.cell
    assert "failed in cell 2 of worksheet 2: KeyError: 'sold'" in " ".join(str(failed.value).split())
    assert task_instance.xcoms["run"]["success"] is False


@pytest.mark.parametrize("missing", ["404", "400", "empty"])
def test_a_worksheet_that_datalore_leaves_out_fails_the_task_and_is_named(
    play: Play, emulator: EmulatorProcess, notebook: Written, context: Context, missing: str
) -> None:
    emulator.set_variant(interactive_worksheets="first", missing_worksheet=missing)
    sales = notebook("1", "2", on(1, "3"), on(1, "4"), on(2, ""))
    with pytest.raises(DataloreWorksheetsNotRunError) as left:
        play(operator(sales), context)
    told = " ".join(str(left.value).split())
    assert "1 of 2 worksheets" in left.value.summary
    assert "Not run: worksheet 2 (2 cells, the first is cell 1)" in told
    assert left.value.state.value == "failed"
    assert [cell["executionStatus"] for cell in sales.cells()] == ["VALID", "VALID"]


def test_one_worksheet_is_enough_where_datalore_runs_the_first_only(
    play: Play, emulator: EmulatorProcess, notebook: Written, context: Context
) -> None:
    emulator.set_variant(interactive_worksheets="first")
    text = nbformat.v4.new_markdown_cell("# Notes", metadata={"datalore": {"worksheet": 1}})
    assert play(operator(notebook("1", text, on(2, " "), "2")), context)["success"] is True


def test_a_long_cell_costs_one_request_per_poll_however_many_worksheets_there_are(
    play: Play, emulator: EmulatorProcess, notebook: Written, context: Context, tmp_path: Path
) -> None:
    sales = notebook("1", on(1, gate(tmp_path / "go")), on(2, "3"), on(3, "4"))

    def polls() -> int:
        count: int = emulator.log()["interactive"]["polls"].get(sales.id, 0)
        return count

    def requests() -> int:
        counted = emulator.log()["requests"]
        return sum(count for path, count in counted.items() if path.startswith("POST /api/notebook/"))

    def while_it_runs() -> None:
        gate_pid(tmp_path / "go")
        # The poll that saw the cell begin is over once the next one has come.
        seen = polls()
        wait_until(lambda: polls() >= seen + 2)
        before = (polls(), requests())
        wait_until(lambda: polls() >= before[0] + 4)
        after = (polls(), requests())
        assert after[1] - before[1] <= after[0] - before[0] + 1
        (tmp_path / "go").touch()

    assert meanwhile(play, operator(sales), context, while_it_runs)["success"] is True


def test_an_sql_cell_that_fails_says_its_language(
    play: Play, emulator: EmulatorProcess, notebook: Written, context: Context
) -> None:
    sales = notebook("1", on(0, "SELECT * FROM gone", type="SQL", databaseId="shop.db", variableName="sold"))
    with closing(sqlite3.connect(emulator.folder / sales.owner / "shop.db")) as connection, connection:
        connection.execute("CREATE TABLE sales (item)")
    with pytest.raises(DataloreInteractiveRunFailedError, match="in sql") as failed:
        play(operator(sales), context)
    assert failed.value.failure is not None
    assert (failed.value.failure.language, failed.value.failure.error) == (
        *("sql", "OperationalError: no such table: gone"),
    )
    assert "SELECT * FROM gone" in str(failed.value)


def test_a_cell_in_kotlin_that_fails_says_its_language(play: Play, notebook: Written, context: Context) -> None:
    with pytest.raises(DataloreInteractiveRunFailedError, match="in kotlin") as failed:
        play(operator(notebook(on(0, "println(1)", language="kotlin"))), context)
    assert failed.value.failure is not None
    assert failed.value.failure.language == "kotlin"


def test_where_datalore_cut_the_output_and_the_traceback_is_said(
    play: Play, notebook: Written, context: Context
) -> None:
    source = "print('first line'); print('x' * 20_000)\nraise ValueError('v' * 20_000)"
    with pytest.raises(DataloreInteractiveRunFailedError) as failed:
        play(operator(notebook(source)), context)
    failure = failed.value.failure
    assert failure is not None
    assert "[Datalore cut stdout here, after 10,000 characters]" in failure.output
    assert "[Datalore cut the traceback here, after 10,000 characters]" in failure.traceback
