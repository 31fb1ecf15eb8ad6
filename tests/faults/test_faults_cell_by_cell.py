"""What happens to a task that runs a notebook cell by cell: each row counts how often each cell was executed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, write_notebook
from tests.emulator.notebook_client import Notebook
from tests.faults.stage import Stage, Task
from tests.faults.table import Scenario

CELLS = 12
ONCE = dict.fromkeys(range(1, CELLS + 1), 1)
HELD = 5


def start_held(stage: Stage, dag_id: str, task_id: str, **how: Any) -> tuple[Task, Notebook]:
    """Starts a task whose notebook waits in cell 5, and waits until it does."""
    notebook = stage.datalore.write_cells(stage.name, CELLS, held=HELD, **how)
    task = stage.start_task(dag_id, task_id)
    stage.wait_for("Cell 5 runs", lambda: HELD in stage.datalore.ran(stage.name))
    return task, notebook


def ran(stage: Stage) -> dict[int, int]:
    return stage.datalore.ran(stage.name)


def came_of_it(stage: Stage, outcome: str, *, injected: int = 1, tasks: int = 1, runs: int = 1) -> None:
    """Writes the row."""
    stage.scenario.came_of_it(outcome, injected=injected, asked=runs, tasks=tasks)


@pytest.mark.scenario(
    "cell by cell: cell 11 of 12 fails, and the task is cleared after it was mended (`resume=True`)",
    means="Only the cell that failed and those after it run again.",
)
def test_cells_resumed(stage: Stage) -> None:
    task, _ = start_held(stage, "faults_cells", "deferred", fails=11)
    task.wait_until("deferred")
    # The log is live: what cell 5 prints is there before cell 5 is over.
    task.wait_for_log("held in cell 5")
    assert task.state == "deferred"
    assert max(ran(stage)) == HELD
    stage.let_go()
    task.wait_until("failed")
    assert ran(stage) == dict.fromkeys(range(1, 12), 1)
    task.wait_for_log("it resumes at cell 11 of 12")
    stage.datalore.mend(stage.name)
    task.clear()
    task.wait_until("success", try_number=2)

    assert ran(stage) == {**ONCE, 11: 2}
    task.wait_for_log("resumed at cell 11 of 12; cells 1 to 10 are of try 1, ", try_number=2)
    run = task.xcom("run")
    assert (run["resumed_at"], run["kept"], len(run["cells"])) == (11, 10, CELLS)
    came_of_it(stage, "fails, then succeeds; cells 1 to 10 ran once")


@pytest.mark.scenario(
    "cell by cell: the same, but the kernel is restarted before the clear",
    means="The notebook runs from the start, and the log says why.",
)
def test_cells_not_resumed_in_another_kernel(stage: Stage) -> None:
    notebook = stage.datalore.write_cells(stage.name, CELLS, fails=11)
    task = stage.start_task("faults_cells", "deferred")
    task.wait_until("failed")
    notebook.json("kernel/restart", waitUntilReady=True)
    stage.datalore.mend(stage.name)
    task.clear()
    task.wait_until("success", try_number=2)

    assert ran(stage) == {**dict.fromkeys(range(1, 12), 2), 12: 1}
    task.wait_for_log("runs from the start, and not from the cell that failed, since the kernel is", try_number=2)
    came_of_it(stage, "fails, then succeeds; cells 1 to 11 ran twice", runs=2)


@pytest.mark.scenario(
    "cell by cell: the worker is killed with SIGKILL in the middle of cell 5",
    means="The retry continues at the cell that is running.",
)
def test_cells_worker_killed(stage: Stage) -> None:
    task, _ = start_held(stage, "faults_cells_waiting", "waiting")
    task.kill_worker()
    task.wait_until("running", try_number=2)
    task.wait_for_log("Continuing the run", try_number=2)
    stage.let_go()
    task.wait_until("success", try_number=2)

    assert ran(stage) == ONCE
    came_of_it(stage, "succeeds on the retry; each cell ran once")


@pytest.mark.scenario(
    "cell by cell: the triggerer is killed with SIGKILL in the middle of cell 5, and started again",
    means="The task continues at the cell that is running.",
)
def test_cells_triggerer_killed(stage: Stage) -> None:
    task, _ = start_held(stage, "faults_cells", "deferred")
    stage.airflow.restart_triggerer()
    task.wait_for_log("Continuing the run")
    stage.let_go()
    task.wait_until("success")

    assert ran(stage) == ONCE
    came_of_it(stage, "succeeds; each cell ran once")


@pytest.mark.scenario(
    "cell by cell: the triggerer is killed in cell 5 of 12, which ends before another one starts",
    means="The task continues with the next cell.",
)
def test_cells_triggerer_gone_for_a_while(stage: Stage) -> None:
    task, notebook = start_held(stage, "faults_cells", "deferred")
    stage.airflow.kill_triggerer()
    stage.let_go()
    notebook.wait_while_busy()
    assert max(ran(stage)) == HELD
    stage.airflow.start_triggerer()
    task.wait_until("success")

    assert ran(stage) == ONCE
    came_of_it(stage, "succeeds; each cell ran once")


@pytest.mark.scenario(
    "cell by cell: Datalore is unreachable for a while in the middle of cell 5",
    means="The task keeps waiting for up to `max_outage`; the cell keeps running.",
)
def test_cells_outage(stage: Stage) -> None:
    task, _ = start_held(stage, "faults_cells", "deferred")
    stage.datalore.road.cut()
    task.wait_for_log("Retrying in")
    stage.datalore.road.restore()
    stage.let_go()
    task.wait_until("success")

    assert ran(stage) == ONCE
    came_of_it(stage, "succeeds; each cell ran once")


@pytest.mark.scenario(
    "cell by cell: the response to the request that runs a cell is lost, three times",
    means="No request is repeated: whether the cell ran is read from the notebook.",
)
def test_cells_lost_responses(stage: Stage) -> None:
    stage.datalore.write_cells(stage.name, CELLS)
    lost = {"kind": "drop", "path": "cell/run", "when": "after", "times": 1}
    stage.misbehave({**lost, "skip": 2}, {**lost, "skip": 5}, {**lost, "skip": 7})
    task = stage.start_task("faults_cells", "deferred")
    task.wait_until("success")

    assert ran(stage) == ONCE
    came_of_it(stage, "succeeds; each cell ran once", injected=stage.datalore.injected())


@pytest.mark.scenario(
    "cell by cell: two tasks run the same notebook at the same time",
    means="The second task waits until the first has finished.",
)
def test_cells_two_tasks(stage: Stage) -> None:
    first, _ = start_held(stage, "faults_cells", "deferred")
    second = stage.start_task("faults_cells", "deferred")
    second.wait_for_log("is busy; waiting until it is idle")
    assert max(ran(stage)) == HELD
    stage.let_go()
    first.wait_until("success")
    second.wait_until("success")

    assert ran(stage) == dict.fromkeys(ONCE, 2)
    numbers = [[cell["execution_count"] for cell in task.xcom("run")["cells"]] for task in (first, second)]
    assert numbers == [list(range(1, 13)), list(range(13, 25))]
    came_of_it(stage, "both succeed, one after the other; each runs every cell once", tasks=2, runs=2)


@pytest.mark.scenario(
    "cell by cell: a person edits cells and runs one while cell 5 runs",
    means="The log says which cells others edited and executed; the task runs each cell once.",
)
def test_cells_person(stage: Stage) -> None:
    task, notebook = start_held(stage, "faults_cells", "deferred")
    cells = notebook.cells()
    notebook.json("cell/run", cellId=cells[1]["cellId"], timeoutMs=0)
    notebook.json("cell/edit", cellId=cells[7]["cellId"], newContent=cells[7]["source"] + "\nprint('edited')")
    stage.let_go()
    task.wait_until("success")

    assert ran(stage) == {**ONCE, 2: 2}
    task.wait_for_log("Another user or task used the kernel right before cell 6 of 12: 1 execution by others")
    task.wait_for_log("Cell 2 of 12 was executed again by another user or task")
    task.wait_for_log("Cell 8 of 12 was edited while the notebook ran")
    came_of_it(stage, "succeeds; the task ran each cell once")


@pytest.mark.scenario(
    "cell by cell: the kernel is restarted in the middle of cell 5",
    means="The task fails within a minute, and says in which cell the kernel was lost.",
)
def test_cells_kernel_restarted(stage: Stage) -> None:
    task, notebook = start_held(stage, "faults_cells", "deferred")
    notebook.json("kernel/restart", waitUntilReady=True)
    task.wait_until("failed")

    assert ran(stage) == dict.fromkeys(range(1, HELD + 1), 1)
    task.wait_for_log("Cell 5 of 12 started and has not ended")
    came_of_it(stage, "fails with `DataloreKernelLostError`; no cell ran twice")


@pytest.mark.told_of_kills
@pytest.mark.scenario(
    "cell by cell: the task is marked failed in the middle of cell 5",
    means="The cell is interrupted within seconds, and no other is started.",
)
def test_cells_marked_failed(stage: Stage) -> None:
    task, notebook = start_held(stage, "faults_cells", "deferred")
    task.mark("failed")
    task.wait_for_log("was interrupted", timeout=60)
    notebook.wait_while_busy()

    assert ran(stage) == dict.fromkeys(range(1, HELD + 1), 1)
    came_of_it(stage, "failed, as marked; no cell ran twice")


@pytest.mark.scenario(
    "cell by cell: 300 cells on three worksheets, and the triggerer is killed meanwhile",
    means="Each cell runs once, in order.",
)
def test_cells_many(stage: Stage) -> None:
    stage.datalore.write_cells(stage.name, 300, worksheets=3)
    task = stage.start_task("faults_cells", "deferred")
    stage.wait_for("Some cells have run", lambda: len(ran(stage)) > 20)
    stage.airflow.restart_triggerer()
    task.wait_until("success")

    assert ran(stage) == dict.fromkeys(range(1, 301), 1)
    assert {cell["worksheet"] for cell in task.xcom("run")["cells"]} == {0, 1, 2}
    came_of_it(stage, "succeeds; each cell ran once")


@pytest.mark.quick
@pytest.mark.scenario(
    "cell by cell: requests that run a cell wait no longer than 50 ms (`--run-window 0.05`)",
    means="A cell may take longer than a request: the task waits for its end.",
)
def test_cells_short_window(scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_datalore.operators.datalore import DataloreInteractiveRunOperator
    from tests.tasks.conftest import TaskInstance

    (tmp_path / "notebooks").mkdir()
    note = "import time; time.sleep(0.2)\nwith open({path!r}, 'a') as ran: print({number}, file=ran)"
    cells = [note.format(path=str(tmp_path / "ran"), number=number) for number in range(5)]
    with EmulatorProcess(tmp_path / "notebooks", "--run-window", "0.05") as emulator:
        notebook = Notebook(Client(emulator), write_notebook(emulator.folder, "cells", *cells, owner="me"))
        monkeypatch.setenv("AIRFLOW_CONN_DATALORE_DEFAULT", json.dumps(emulator.connection))
        run = DataloreInteractiveRunOperator(
            task_id="run", notebook_id=notebook.id, cell_by_cell=True, deferrable=False, poll_interval=1
        ).execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]  # what it needs of a context
    assert run is not None
    assert run["success"] is True
    assert (tmp_path / "ran").read_text().split() == list("01234")
    scenario.came_of_it("succeeds; each cell ran once", injected=5, asked=1)
