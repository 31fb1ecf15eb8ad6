"""Tasks that run a notebook cell by cell, on a worker or in the triggerer: each cell is executed once."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import nbformat
import pytest

from airflow_provider_datalore.api import cell_by_cell, cell_lines
from airflow_provider_datalore.emulator.testing import EmulatorProcess
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreInteractiveRunFailedError,
    DataloreInteractiveRunTimeoutError,
    DataloreKernelLostError,
    DataloreSubmissionUnknownError,
)
from airflow_provider_datalore.hooks.datalore import DataloreHook
from airflow_provider_datalore.operators.datalore import DataloreInteractiveRunOperator
from tests.emulator.emulator_client import gate, gate_pid, wait_until
from tests.emulator.notebook_client import Notebook, control
from tests.interactive.conftest import (
    Context,
    Logged,
    Play,
    TaskInstance,
    TaskStateStore,
    Written,
    deferral,
    elsewhere,
    in_the_triggerer,
    meanwhile,
    operator,
    resume,
    sent_by,
    trigger_of,
)
from tests.interactive.test_runs_of_worksheets import on
from tests.lines import wrapped


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that takes over does so soon."""
    monkeypatch.setattr(cell_by_cell, "TAKEOVER_QUIET", 0.3)
    monkeypatch.setattr(cell_by_cell, "CELL_WAIT_MS", 300)
    monkeypatch.setattr("airflow_provider_datalore.tasks.cell_by_cell.HANDOVER_TIME", 0.5)


class Ran:
    """What cells executed: each appends its number to a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def cell(self, number: int, then: str = "") -> str:
        """A cell with this number."""
        return f"with open({str(self.path)!r}, 'a') as file: print({number}, file=file)\n{then}"

    @property
    def order(self) -> list[int]:
        """The numbers, in the order of the executions."""
        return [int(line) for line in self.path.read_text().split()]

    @property
    def counts(self) -> dict[int, int]:
        """How often each was executed."""
        return {number: self.order.count(number) for number in sorted(self.order)}


@pytest.fixture
def ran(tmp_path: Path) -> Ran:
    return Ran(tmp_path / "ran")


def by_cell(notebook: Notebook, **options: Any) -> DataloreInteractiveRunOperator:
    return operator(notebook, **({"cell_by_cell": True, "wait_for_completion": False} | options))


@pytest.fixture
def deferred() -> Play:
    """Runs a task to its end in the triggerer: the flow is the same on a worker, and each kernel takes a second."""
    return in_the_triggerer


def test_every_cell_is_executed_once_in_order(
    play: Play, notebook: Written, context: Context, task_instance: TaskInstance, ran: Ran, logged: Logged
) -> None:
    sales = notebook(nbformat.v4.new_markdown_cell("# Sales"), ran.cell(1), ran.cell(2), " ", ran.cell(3))
    run = play(by_cell(sales), context)
    assert ran.order == [1, 2, 3]
    assert (run["success"], [cell["execution_count"] for cell in run["cells"]]) == (True, [1, 2, 3])
    assert (run["resumed_at"], run["kept"]) == (None, 0)
    assert task_instance.xcoms["run"] == run
    text = logged()
    assert "Cell 1 of 3 started: with open(" in text
    assert text.index("Cell 2 of 3 started") < text.index("Cell 2 of 3 succeeded in ") < text.index("Cell 3 of 3 st")


def test_cells_of_sql_and_controls_on_every_worksheet_are_executed(
    deferred: Play, emulator: EmulatorProcess, notebook: Written, context: Context, ran: Ran
) -> None:
    item = on(1, "SELECT * FROM sales WHERE item = 'desk'", type="SQL", databaseId="shop.db", variableName="sold")
    sales = notebook(
        control("TEXT_INPUT", "name", value=""),
        ran.cell(1, "assert name == 'Ann'"),
        item,
        on(1, ran.cell(2, "assert len(sold) == 1")),
        on(2, ran.cell(3)),
    )
    with closing(sqlite3.connect(emulator.folder / sales.owner / "shop.db")) as connection, connection:
        connection.execute("CREATE TABLE sales (item)")
        connection.execute("INSERT INTO sales VALUES ('desk')")
    run = deferred(by_cell(sales, parameters={"name": "Ann"}), context)
    assert ran.order == [1, 2, 3]
    assert [(cell["cell_type"], cell["worksheet"]) for cell in run["cells"]] == [
        *(("CONTROL", 0), ("CODE", 0), ("SQL", 1), ("CODE", 1), ("CODE", 2)),
    ]
    assert [cell["execution_count"] for cell in run["cells"]] == [1, 2, 3, 4, 5]


def test_a_cell_that_fails_ends_the_run(
    play: Play, notebook: Written, context: Context, task_instance: TaskInstance, ran: Ran, logged: Logged
) -> None:
    sales = notebook(ran.cell(1), ran.cell(2, "print('so far'); {}['sold']"), ran.cell(3))
    with pytest.raises(
        DataloreInteractiveRunFailedError, match=wrapped("failed in cell 2: KeyError: 'sold'")
    ) as failed:
        play(by_cell(sales), context)
    assert ran.order == [1, 2]
    assert failed.value.failure is not None
    assert failed.value.failure.output == "so far"
    assert task_instance.xcoms["run"]["failed_cell_id"] == sales.cells()[1]["cellId"]
    assert "Cell 2 of 3 failed after " in logged()


def test_a_cell_that_takes_longer_than_a_request_is_waited_for(
    play: Play, emulator: EmulatorProcess, notebook: Written, context: Context, ran: Ran, tmp_path: Path
) -> None:
    sales = notebook(ran.cell(1, gate(tmp_path / "go")), ran.cell(2))

    def later() -> None:
        gate_pid(tmp_path / "go")
        asked = requests(emulator, "cell/outputs")
        wait_until(lambda: requests(emulator, "cell/outputs") > asked + 4)
        (tmp_path / "go").touch()

    assert meanwhile(play, by_cell(sales), context, later)["success"] is True
    assert ran.order == [1, 2]
    assert requests(emulator, "cell/run") == 2


def test_a_kernel_that_boots_without_looking_busy_is_waited_for(
    deferred: Play, emulator: EmulatorProcess, notebook: Written, context: Context, ran: Ran
) -> None:
    emulator.set_variant(booting="ready")
    assert deferred(by_cell(notebook(ran.cell(1), ran.cell(2))), context)["success"] is True
    assert ran.order == [1, 2]


class TestOutages:
    def test_one_in_the_middle_of_a_cell_is_tolerated(
        self, play: Play, emulator: EmulatorProcess, notebook: Written, context: Context, ran: Ran, tmp_path: Path
    ) -> None:
        sales = notebook(ran.cell(1), ran.cell(2, gate(tmp_path / "go")), ran.cell(3))

        def outage() -> None:
            gate_pid(tmp_path / "go")
            path = "/api/notebook/v1/"
            emulator.set_faults([{"kind": "status", "status": 502, "path": path, "times": 3}])
            wait_until(lambda: emulator.log()["faults"][0]["injected"] == 3)
            emulator.set_faults([{"kind": "drop", "path": path, "times": 2}])
            wait_until(lambda: emulator.log()["faults"][0]["injected"] == 2)
            (tmp_path / "go").touch()

        assert meanwhile(play, by_cell(sales), context, outage)["success"] is True
        assert ran.order == [1, 2, 3]

    @pytest.mark.parametrize("fault", [{"kind": "drop"}, {"kind": "status", "status": 502}, {"kind": "html"}])
    def test_a_request_whose_response_is_lost_is_not_repeated(
        self,
        deferred: Play,
        emulator: EmulatorProcess,
        notebook: Written,
        context: Context,
        ran: Ran,
        fault: dict[str, Any],
        logged: Logged,
    ) -> None:
        emulator.set_faults([{**fault, "path": "cell/run", "when": "after", "skip": 1, "times": 1}])
        run = deferred(by_cell(notebook(ran.cell(1), ran.cell(2), ran.cell(3))), context)
        assert (run["success"], ran.order) == (True, [1, 2, 3])
        assert requests(emulator, "cell/run") == 3
        assert "whether it runs is read from the notebook" in logged()

    def test_a_request_that_may_have_arrived_and_shows_no_effect_is_not_repeated_either(
        self, deferred: Play, emulator: EmulatorProcess, notebook: Written, context: Context, ran: Ran
    ) -> None:
        emulator.set_faults([{"kind": "drop", "path": "cell/run", "when": "before", "skip": 1}])
        with pytest.raises(DataloreSubmissionUnknownError, match="unknown whether cell 2 of 3"):
            deferred(by_cell(notebook(ran.cell(1), ran.cell(2), ran.cell(3))), context)
        assert ran.order == [1]
        assert requests(emulator, "cell/run") == 2

    def test_a_request_that_was_refused_unread_is_repeated(
        self, deferred: Play, emulator: EmulatorProcess, notebook: Written, context: Context, ran: Ran
    ) -> None:
        emulator.set_faults([{"kind": "status", "status": 503, "path": "cell/run", "skip": 1, "times": 2}])
        assert deferred(by_cell(notebook(ran.cell(1), ran.cell(2))), context)["success"] is True
        assert ran.order == [1, 2]

    def test_a_token_that_was_refused_once_costs_no_execution(
        self, deferred: Play, emulator: EmulatorProcess, notebook: Written, context: Context, ran: Ran
    ) -> None:
        emulator.set_faults([{"kind": "status", "status": 401, "path": "cell/run", "skip": 1, "times": 1}])
        assert deferred(by_cell(notebook(ran.cell(1), ran.cell(2))), context)["success"] is True
        assert ran.order == [1, 2]


class TestOthers:
    @pytest.mark.parametrize("busy", ["queue", "409"])
    def test_a_person_who_runs_another_cell_is_noticed(
        self,
        deferred: Play,
        emulator: EmulatorProcess,
        notebook: Written,
        context: Context,
        ran: Ran,
        tmp_path: Path,
        busy: str,
        logged: Logged,
    ) -> None:
        sales = notebook(ran.cell(1), ran.cell(2, gate(tmp_path / "go")), ran.cell(3), ran.cell(4))
        ids = [cell["cellId"] for cell in sales.cells()]

        def run_another() -> None:
            gate_pid(tmp_path / "go")
            if busy == "queue":
                sales.json("cell/run", cellId=ids[0], timeoutMs=0)
            else:
                emulator.set_variant(cell_run_while_busy="409")
                assert sales.call("cell/run", cellId=ids[0]).status_code == 409
            (tmp_path / "go").touch()

        run = meanwhile(deferred, by_cell(sales), context, run_another)
        assert run["success"] is True
        again = busy == "queue"
        assert ran.counts == {1: 2 if again else 1, 2: 1, 3: 1, 4: 1}
        text = logged()
        assert ("Another user or task used the kernel right before cell 3 of 4: 1 execution by others" in text) is again
        assert ("Cell 1 of 4 was executed again by another user or task" in text) is again

    def test_cells_that_a_person_edits_deletes_and_adds_meanwhile(
        self, deferred: Play, notebook: Written, context: Context, ran: Ran, tmp_path: Path, logged: Logged
    ) -> None:
        sales = notebook(ran.cell(1), ran.cell(2, gate(tmp_path / "go")), ran.cell(3), ran.cell(4))
        ids = [cell["cellId"] for cell in sales.cells()]

        def edit() -> None:
            gate_pid(tmp_path / "go")
            sales.json("cell/edit", cellId=ids[0], newContent=ran.cell(10))
            sales.json("cell/edit", cellId=ids[3], newContent=ran.cell(40))
            sales.call("cell/delete", cellId=ids[2])
            sales.json("cell/create", cellType="CODE", source=ran.cell(50), afterCellId=ids[3])
            (tmp_path / "go").touch()

        run = meanwhile(deferred, by_cell(sales), context, edit)
        assert (run["success"], ran.order) == (True, [1, 2, 40])
        text = logged()
        assert "Cell 3 of 4 was deleted: it does not run." in text
        assert "Cell 1 of 4 was edited while the notebook ran." in text
        assert "The cell 4 (in the order of the notebook) was added meanwhile: it did not run." in text

    def test_two_tasks_at_once_run_one_after_the_other(self, notebook: Written, ran: Ran, tmp_path: Path) -> None:
        sales = notebook(ran.cell(1), ran.cell(2, gate(tmp_path / "go")), ran.cell(3))
        contexts = [{"ti": TaskInstance(), "task_state_store": TaskStateStore()} for _ in range(2)]
        tasks = [by_cell(sales, deferrable=False) for _ in range(2)]
        with elsewhere(2) as pool:
            first = pool.submit(tasks[0].execute, contexts[0])
            gate_pid(tmp_path / "go")
            second = pool.submit(tasks[1].execute, contexts[1])
            (tmp_path / "go").touch()
            runs = [first.result(30), second.result(30)]
        assert ran.order == [1, 2, 3, 1, 2, 3]
        assert [[cell["execution_count"] for cell in run["cells"]] for run in runs if run] == [[1, 2, 3], [4, 5, 6]]

    def test_two_tasks_that_start_in_the_same_moment_run_one_after_the_other(self, notebook: Written, ran: Ran) -> None:
        sales = notebook(ran.cell(1, "import time; time.sleep(0.5)"), ran.cell(2), ran.cell(3))
        contexts = [{"ti": TaskInstance(), "task_state_store": TaskStateStore()} for _ in range(2)]
        tasks = [by_cell(sales, deferrable=False) for _ in range(2)]
        with elsewhere(2) as pool:
            first, second = (pool.submit(task.execute, context) for task, context in zip(tasks, contexts, strict=True))
            assert [each.result(60)["success"] for each in (first, second)] == [True, True]  # type: ignore[index]
        assert ran.counts == {1: 2, 2: 2, 3: 2}


class TestALostKernel:
    @pytest.mark.parametrize("status", ["NONE", "STARTED"])
    def test_one_that_is_killed_in_a_cell(
        self,
        play: Play,
        emulator: EmulatorProcess,
        notebook: Written,
        context: Context,
        ran: Ran,
        tmp_path: Path,
        status: str,
    ) -> None:
        emulator.set_variant(crashed_cell=status)
        sales = notebook(ran.cell(1), ran.cell(2, gate(tmp_path / "never")), ran.cell(3))
        with pytest.raises(DataloreKernelLostError, match=wrapped("Cell 2 of 3 started and has not ended")):
            meanwhile(play, by_cell(sales), context, lambda: os.kill(gate_pid(tmp_path / "never"), signal.SIGKILL))
        assert ran.order == [1, 2]

    @pytest.mark.parametrize(
        ("call", "words"), [("kernel/restart", "died, or a user restarted it"), ("agent/stop", "session was stopped")]
    )
    def test_one_that_someone_restarts_or_stops(
        self, deferred: Play, notebook: Written, context: Context, ran: Ran, tmp_path: Path, call: str, words: str
    ) -> None:
        sales = notebook(ran.cell(1), ran.cell(2, gate(tmp_path / "never")), ran.cell(3))
        with pytest.raises(DataloreKernelLostError, match=wrapped(words)):
            meanwhile(deferred, by_cell(sales), context, lambda: (gate_pid(tmp_path / "never"), sales.call(call)))
        assert ran.order == [1, 2]

    def test_one_that_is_restarted_between_two_cells(
        self, emulator: EmulatorProcess, notebook: Written, context: Context, ran: Ran, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sales = notebook(ran.cell(1), ran.cell(2), ran.cell(3))
        ended = cell_lines.ended

        def restart_after_the_second(cell: Any, number: int, total: int) -> str:
            if number == 2:
                sales.json("kernel/restart", waitUntilReady=True)
            return ended(cell, number, total)

        monkeypatch.setattr(cell_lines, "ended", restart_after_the_second)
        with pytest.raises(DataloreKernelLostError, match=wrapped("was restarted before cell 3 of 3")):
            by_cell(sales, deferrable=False).execute(context)
        assert ran.order == [1, 2, 3]


class TestTakingOver:
    @pytest.mark.parametrize("between", [False, True])
    async def test_another_triggerer_continues_where_the_notebook_is(
        self, notebook: Written, context: Context, ran: Ran, tmp_path: Path, between: bool, logged: Logged
    ) -> None:
        sales = notebook(ran.cell(1), ran.cell(2, gate(tmp_path / "go")), ran.cell(3))
        task = by_cell(sales, deferrable=True)
        waits = deferral(task, context)
        first = asyncio.create_task(sent_by(trigger_of(waits)))
        await asyncio.to_thread(gate_pid, tmp_path / "go")
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        if between:
            (tmp_path / "go").touch()
            await asyncio.to_thread(sales.wait_while_busy)
            assert ran.order == [1, 2]
        second = asyncio.create_task(sent_by(trigger_of(waits)))
        if not between:
            await asyncio.sleep(1)
            assert ran.order == [1, 2]
            (tmp_path / "go").touch()
        run = resume(task, context, waits, await second)
        assert (run["success"], ran.order) == (True, [1, 2, 3])
        assert "Continuing the run of notebook" in logged()

    def test_the_retry_of_a_worker_that_was_killed_continues_where_the_notebook_is(
        self, notebook: Written, context: Context, task_instance: TaskInstance, ran: Ran, tmp_path: Path, logged: Logged
    ) -> None:
        sales = notebook(ran.cell(1), ran.cell(2, gate(tmp_path / "go")), ran.cell(3))
        with elsewhere() as pool, pytest.MonkeyPatch.context() as patched:
            killed = pool.submit(by_cell(sales, deferrable=False).execute, context)
            gate_pid(tmp_path / "go")
            # As if the process were gone: whatever it does next has no effect.
            patched.setattr("airflow_provider_datalore.transport.drivers.time.sleep", _exit_thread)
            with pytest.raises(SystemExit):
                killed.result(30)
        task_instance.try_number = 2  # type: ignore[attr-defined]
        with elsewhere() as pool:
            retried = pool.submit(by_cell(sales, deferrable=False).execute, context)
            (tmp_path / "go").touch()
            run = retried.result(30)
        assert run is not None
        assert (run["success"], ran.order) == (True, [1, 2, 3])
        assert "Using the interactive run that an earlier try started" in logged()

    def test_a_new_kernel_is_not_continued_in(
        self, notebook: Written, context: Context, task_instance: TaskInstance, ran: Ran, tmp_path: Path
    ) -> None:
        sales = notebook(ran.cell(1), ran.cell(2, gate(tmp_path / "go")), ran.cell(3))
        with elsewhere() as pool, pytest.MonkeyPatch.context() as patched:
            killed = pool.submit(by_cell(sales, deferrable=False).execute, context)
            gate_pid(tmp_path / "go")
            patched.setattr("airflow_provider_datalore.transport.drivers.time.sleep", _exit_thread)
            with pytest.raises(SystemExit):
                killed.result(30)
        sales.call("agent/stop")
        (tmp_path / "go").touch()
        task_instance.try_number = 2  # type: ignore[attr-defined]
        run = by_cell(sales, deferrable=False).execute(context)
        assert run is not None
        assert (run["success"], ran.order) == (True, [1, 2, 1, 2, 3])


def _exit_thread(seconds: float) -> None:
    raise SystemExit


class TestKilling:
    async def test_a_deferred_task_interrupts_the_cell_and_starts_no_other(
        self, notebook: Written, context: Context, ran: Ran, tmp_path: Path, logged: Logged
    ) -> None:
        sales = notebook(ran.cell(1), ran.cell(2, gate(tmp_path / "never")), ran.cell(3))
        trigger = trigger_of(deferral(by_cell(sales, deferrable=True), context))
        running = asyncio.create_task(sent_by(trigger))
        await asyncio.to_thread(gate_pid, tmp_path / "never")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await trigger.on_kill()
        await asyncio.to_thread(sales.wait_while_busy)
        assert sales.statuses() == ["VALID", "ERROR", "NONE"]
        assert ran.order == [1, 2]
        assert "was interrupted" in logged()

    def test_a_task_on_the_worker_interrupts_the_cell_and_starts_no_other(
        self, notebook: Written, context: Context, ran: Ran, tmp_path: Path, logged: Logged
    ) -> None:
        sales = notebook(ran.cell(1), ran.cell(2, gate(tmp_path / "never")), ran.cell(3))
        task = by_cell(sales, deferrable=False)
        with elsewhere() as pool:
            played = pool.submit(task.execute, context)
            gate_pid(tmp_path / "never")
            task.on_kill()
            with pytest.raises(DataloreInteractiveRunFailedError, match="KeyboardInterrupt"):
                played.result(30)
        assert ran.order == [1, 2]
        assert "was interrupted" in logged()

    async def test_a_cell_that_somebody_else_runs_is_not_interrupted(
        self, notebook: Written, context: Context, ran: Ran, tmp_path: Path, logged: Logged
    ) -> None:
        sales = notebook(ran.cell(1), ran.cell(2), ran.cell(3, gate(tmp_path / "go")))
        trigger = trigger_of(deferral(by_cell(sales, deferrable=True), context))
        await asyncio.to_thread(sales.wait_while_busy)
        await asyncio.to_thread(sales.json, "cell/run", cellId=sales.cells()[2]["cellId"], timeoutMs=0)
        await asyncio.to_thread(gate_pid, tmp_path / "go")
        await trigger.on_kill()
        assert "was not interrupted: another user or task may be running it" in logged()
        (tmp_path / "go").touch()


def test_the_time_limit_starts_no_more_cells(
    deferred: Play, notebook: Written, context: Context, ran: Ran, tmp_path: Path
) -> None:
    sales = notebook("", ran.cell(1, gate(tmp_path / "go")), ran.cell(2))
    sales.json("cell/run", cellId=sales.json("cell/create", cellType="CODE", source="0")["cellId"])
    with pytest.raises(DataloreInteractiveRunTimeoutError, match=wrapped("No further cell is started")):
        deferred(by_cell(sales, timeout=4), context)
    (tmp_path / "go").touch()
    sales.wait_while_busy()
    assert ran.order == [1]


def test_a_task_of_ones_own_runs_the_cells_by_the_hook(notebook: Written, ran: Ran) -> None:
    sales = notebook(control("TEXT_INPUT", "name", value=""), ran.cell(1, "assert name == 'Ann'"), ran.cell(2, "1 / 0"))
    run = DataloreHook().notebook(sales.id).run_cell_by_cell({"name": "Ann"}, poll_interval=1)
    assert (run.success, run.failed_cell_id) == (False, sales.cells()[2]["cellId"])
    assert ran.order == [1, 2]


def test_resume_requires_cell_by_cell(notebook: Written, context: Context) -> None:
    with pytest.raises(
        DataloreConfigurationError, match=wrapped("resume=True can only be used with cell_by_cell=True")
    ):
        operator(notebook("1"), resume=True).execute(context)


def requests(emulator: EmulatorProcess, call: str) -> int:
    """How many requests of this kind there were."""
    count: int = emulator.log()["requests"].get(f"POST /api/notebook/v1/{call}", 0)
    return count
