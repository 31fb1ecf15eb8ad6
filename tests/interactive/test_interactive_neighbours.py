"""Whose run it is: notebooks that are busy, tasks that are killed or retried, sessions that are stopped."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from airflow_provider_datalore.exceptions import (
    DataloreInteractiveRunFailedError,
    DataloreInteractiveRunTimeoutError,
    DataloreNotebookBusyError,
    DataloreRunOverlapError,
)
from airflow_provider_datalore.operators.datalore import DataloreInteractiveRunOperator
from tests.emulator.emulator_client import gate, gate_pid, wait_until
from tests.emulator.notebook_client import Notebook, control
from tests.interactive.conftest import (
    Context,
    Logged,
    TaskInstance,
    TaskStateStore,
    Written,
    deferral,
    elsewhere,
    operator,
    resume,
    sent_by,
    started,
    trigger_of,
)
from tests.lines import wrapped


def interrupts(emulator: EmulatorProcess, notebook: Notebook) -> int:
    """How often its kernel was to be interrupted."""
    count: int = emulator.log()["interactive"]["interrupts"].get(notebook.id, 0)
    return count


def counted(notebook: Notebook) -> list[int | None]:
    return [cell["executionCount"] for cell in notebook.cells()]


class TestABusyNotebook:
    def test_the_task_waits_for_its_turn_on_the_worker(
        self, emulator: EmulatorProcess, notebook: Written, context: Context, tmp_path: Path
    ) -> None:
        sales = notebook("1", gate(tmp_path / "go"))
        sales.run()
        gate_pid(tmp_path / "go")
        with elsewhere() as pool:
            played = pool.submit(operator(sales, deferrable=False).execute, context)
            polls = sales_polls(emulator, sales)
            wait_until(lambda: sales_polls(emulator, sales) > polls + 2)
            assert started(emulator, sales) == 1
            (tmp_path / "go").touch()
            run = played.result(30)
        assert run is not None
        assert [cell["execution_count"] for cell in run["cells"]] == [3, 4]

    def test_the_task_waits_for_its_turn_in_the_triggerer(
        self, emulator: EmulatorProcess, notebook: Written, context: Context, tmp_path: Path
    ) -> None:
        sales = notebook("1", gate(tmp_path / "go"))
        sales.run()
        gate_pid(tmp_path / "go")
        task = operator(sales, deferrable=True, timeout=60)
        turn = deferral(task, context)
        assert turn.method_name == "execute_when_idle"
        (tmp_path / "go").touch()
        event = asyncio.run(sent_by(trigger_of(turn)))
        assert started(emulator, sales) == 1
        (tmp_path / "go").unlink()
        with pytest.raises(BaseException) as second:  # noqa: PT011  (TaskDeferred is no Exception)
            resume(task, context, turn, event)
        waits = second.value
        assert waits.method_name == "execute_complete"
        # The limit is one for the turn and the run.
        assert waits.kwargs["deadline"] == turn.kwargs["deadline"]
        (tmp_path / "go").touch()
        run = resume(task, context, waits, asyncio.run(sent_by(trigger_of(waits))))
        assert run["success"] is True
        assert started(emulator, sales) == 2

    @pytest.mark.parametrize("deferrable", [True, False])
    def test_the_task_fails_if_it_is_to(
        self, emulator: EmulatorProcess, notebook: Written, context: Context, tmp_path: Path, deferrable: bool
    ) -> None:
        sales = notebook(gate(tmp_path / "go"))
        sales.run()
        gate_pid(tmp_path / "go")
        with pytest.raises(DataloreNotebookBusyError, match=wrapped("is already running, so this task has not run it")):
            operator(sales, deferrable=deferrable, when_busy="fail").execute(context)
        assert started(emulator, sales) == 1
        (tmp_path / "go").touch()

    def test_a_turn_that_does_not_come_in_time_fails_the_task(
        self, emulator: EmulatorProcess, notebook: Written, context: Context, tmp_path: Path
    ) -> None:
        sales = notebook(gate(tmp_path / "go"))
        sales.run()
        gate_pid(tmp_path / "go")
        with pytest.raises(DataloreInteractiveRunTimeoutError, match=wrapped("was busy until .* has not run it")):
            operator(sales, deferrable=False, timeout=0.5).execute(context)
        (tmp_path / "go").touch()

    def test_two_tasks_at_once_have_each_their_own_result(
        self, emulator: EmulatorProcess, notebook: Written, tmp_path: Path
    ) -> None:
        sales = notebook(
            control("TEXT_INPUT", "name", value=""),
            gate(tmp_path / "go"),
            f"with open({str(tmp_path / 'ran')!r}, 'a') as file: print(name, file=file)\nassert name != 'second'",
        )
        contexts = [{"ti": TaskInstance(), "task_state_store": TaskStateStore()} for _ in range(2)]
        tasks = [operator(sales, deferrable=False, parameters={"name": name}) for name in ("first", "second")]
        with elsewhere(2) as pool:
            first = pool.submit(tasks[0].execute, contexts[0])
            gate_pid(tmp_path / "go")
            second = pool.submit(tasks[1].execute, contexts[1])
            (tmp_path / "go").touch()
            assert first.result(30)["success"] is True  # type: ignore[index]
            with pytest.raises(DataloreInteractiveRunFailedError, match="AssertionError"):
                second.result(30)
        assert (tmp_path / "ran").read_text() == "first\nsecond\n"


def sales_polls(emulator: EmulatorProcess, notebook: Notebook) -> int:
    """How often the kernel of a notebook was asked for."""
    count: int = emulator.log()["interactive"]["polls"].get(notebook.id, 0)
    return count


class TestAnotherRunAtTheSameTime:
    def test_one_that_was_asked_for_in_the_same_moment_is_not_taken_for_the_tasks_own(
        self, notebook: Written, context: Context
    ) -> None:
        sales = notebook("1", "2")
        task = operator(sales, deferrable=True)
        waits = deferral(task, context)
        sales.run()
        sales.wait_while_busy()
        assert counted(sales) == [3, 4]
        event = asyncio.run(sent_by(trigger_of(waits)))
        with pytest.raises(
            DataloreRunOverlapError, match=wrapped("another user or task executed its cells at the same time")
        ):
            resume(task, context, waits, event)

    def test_one_that_failed_at_the_same_time_is_not_taken_for_the_tasks_own(
        self, notebook: Written, context: Context, tmp_path: Path
    ) -> None:
        sales = notebook(
            "1", f"import os; assert not os.path.exists({str(tmp_path / 'fail')!r})", gate(tmp_path / "go")
        )
        task = operator(sales, deferrable=True)
        waits = deferral(task, context)
        gate_pid(tmp_path / "go")
        sales.run()
        (tmp_path / "fail").touch()
        (tmp_path / "go").touch()
        sales.wait_while_busy()
        event = asyncio.run(sent_by(trigger_of(waits)))
        with pytest.raises(DataloreRunOverlapError):
            resume(task, context, waits, event)

    def test_a_control_that_someone_sets_meanwhile_is_noticed(
        self, notebook: Written, context: Context, tmp_path: Path
    ) -> None:
        sales = notebook(control("TEXT_INPUT", "name", value=""), gate(tmp_path / "go"))
        task = operator(sales, deferrable=True, parameters={"name": "Ann"})
        waits = deferral(task, context)
        gate_pid(tmp_path / "go")
        cell = sales.cells()[0]
        (tmp_path / "go").touch()
        sales.wait_while_busy()
        sales.json("cell/controls/update", cellId=cell["cellId"], control={**cell["data"]["control"], "value": "Bob"})
        event = asyncio.run(sent_by(trigger_of(waits)))
        with pytest.raises(DataloreRunOverlapError, match=wrapped("control of variable 'name' was changed meanwhile")):
            resume(task, context, waits, event)

    def test_cells_that_were_executed_before_and_deleted_are_no_other_run(
        self, notebook: Written, context: Context
    ) -> None:
        notebook("1", "2", "3", "4", "5").run_to_end()
        sales = notebook("1", "2")
        assert operator(sales, deferrable=False).execute(context)["success"] is True  # type: ignore[index]
        assert counted(sales) == [6, 7]


class TestKilling:
    async def test_a_deferred_task_interrupts_its_run(
        self, emulator: EmulatorProcess, notebook: Written, context: Context, tmp_path: Path, logged: Logged
    ) -> None:
        sales = notebook("1", gate(tmp_path / "never"), "3")
        trigger = trigger_of(deferral(operator(sales, deferrable=True), context))
        await asyncio.to_thread(gate_pid, tmp_path / "never")
        await trigger.on_kill()
        await asyncio.to_thread(sales.wait_while_busy)
        assert sales.statuses() == ["VALID", "ERROR", "NONE"]
        assert f"The kernel of notebook {sales.id} was interrupted." in logged()

    def test_a_task_on_the_worker_interrupts_its_run(
        self, emulator: EmulatorProcess, notebook: Written, context: Context, tmp_path: Path, logged: Logged
    ) -> None:
        sales = notebook(gate(tmp_path / "never"))
        task = operator(sales, deferrable=False)
        with elsewhere() as pool:
            played = pool.submit(task.execute, context)
            gate_pid(tmp_path / "never")
            wait_until(lambda: task._try is not None and task._try.waits_for is not None)
            task.on_kill()
            with pytest.raises(DataloreInteractiveRunFailedError, match="KeyboardInterrupt"):
                played.result(30)
        assert "was interrupted" in logged()

    def test_a_task_that_waits_for_nothing_interrupts_nothing(
        self, emulator: EmulatorProcess, notebook: Written
    ) -> None:
        sales = notebook("1")
        operator(sales).on_kill()
        assert interrupts(emulator, sales) == 0

    async def test_someone_elses_run_is_not_interrupted(
        self, emulator: EmulatorProcess, notebook: Written, context: Context, tmp_path: Path, logged: Logged
    ) -> None:
        sales = notebook("1", gate(tmp_path / "go"))
        trigger = trigger_of(deferral(operator(sales, deferrable=True), context))
        await asyncio.to_thread(gate_pid, tmp_path / "go")
        (tmp_path / "go").touch()
        await asyncio.to_thread(sales.wait_while_busy)
        (tmp_path / "go").unlink()
        (tmp_path / "go.pid").unlink()
        sales.run()
        await asyncio.to_thread(gate_pid, tmp_path / "go")
        await trigger.on_kill()
        assert interrupts(emulator, sales) == 0
        assert "was not interrupted" in logged()
        (tmp_path / "go").touch()

    async def test_it_can_be_left_running(
        self, emulator: EmulatorProcess, notebook: Written, context: Context, tmp_path: Path, logged: Logged
    ) -> None:
        sales = notebook(gate(tmp_path / "go"))
        trigger = trigger_of(deferral(operator(sales, deferrable=True, interrupt_on_kill=False), context))
        await trigger.on_kill()
        assert interrupts(emulator, sales) == 0
        assert "may keep running in Datalore" in logged()
        (tmp_path / "go").touch()

    async def test_a_server_that_does_not_answer_then_is_told_in_the_log(
        self, emulator: EmulatorProcess, notebook: Written, context: Context, tmp_path: Path, logged: Logged
    ) -> None:
        sales = notebook(gate(tmp_path / "go"))
        trigger = trigger_of(deferral(operator(sales, deferrable=True), context))
        emulator.set_faults([{"kind": "drop"}])
        await trigger.on_kill()
        assert "may keep running in Datalore" in logged()
        emulator.clear_faults()
        (tmp_path / "go").touch()


class TestTheSession:
    @pytest.mark.parametrize("deferrable", [True, False])
    @pytest.mark.parametrize("code", ["1", "1 / 0"])
    def test_it_is_stopped_when_the_work_is_done_well_or_not(
        self, notebook: Written, context: Context, code: str, deferrable: bool
    ) -> None:
        sales = notebook(code)
        task = operator(sales, deferrable=deferrable, stop_session_after=True)
        try:
            if deferrable:
                waits = deferral(task, context)
                resume(task, context, waits, asyncio.run(sent_by(trigger_of(waits))))
            else:
                task.execute(context)
        except DataloreInteractiveRunFailedError:
            assert code == "1 / 0"
        assert sales.state() == "NOT_STARTED"

    def test_it_is_stopped_when_the_time_is_up(self, notebook: Written, context: Context, tmp_path: Path) -> None:
        sales = notebook(gate(tmp_path / "never"))
        with pytest.raises(DataloreInteractiveRunTimeoutError):
            operator(sales, deferrable=False, stop_session_after=True, timeout=2).execute(context)
        assert sales.state() == "NOT_STARTED"

    async def test_it_is_stopped_when_the_task_is_killed(
        self, notebook: Written, context: Context, tmp_path: Path
    ) -> None:
        sales = notebook(gate(tmp_path / "never"))
        trigger = trigger_of(deferral(operator(sales, deferrable=True, stop_session_after=True), context))
        await asyncio.to_thread(gate_pid, tmp_path / "never")
        await trigger.on_kill()
        assert sales.state() == "NOT_STARTED"

    def test_it_is_left_when_someone_elses_run_is_in_it(
        self, notebook: Written, context: Context, tmp_path: Path, logged: Logged
    ) -> None:
        sales = notebook("1", gate(tmp_path / "go"))
        task = operator(sales, deferrable=True, stop_session_after=True)
        waits = deferral(task, context)
        gate_pid(tmp_path / "go")
        (tmp_path / "go").touch()
        event = asyncio.run(sent_by(trigger_of(waits)))
        (tmp_path / "go").unlink()
        sales.run()
        wait_until(lambda: sales.state() == "BUSY")
        assert resume(task, context, waits, event)["success"] is True
        assert "was not stopped: another user or task may be running it" in logged()
        assert sales.state() == "BUSY"
        (tmp_path / "go").touch()

    def test_one_that_cannot_be_stopped_does_not_hide_what_came_of_the_run(
        self, emulator: EmulatorProcess, notebook: Written, context: Context, logged: Logged
    ) -> None:
        sales = notebook("1")
        emulator.set_faults([{"kind": "status", "status": 403, "path": "agent/stop"}])
        task = operator(sales, deferrable=False, stop_session_after=True)
        assert task.execute(context)["success"] is True  # type: ignore[index]
        assert "may still be running" in logged()


class TestATaskThatIsTriedAgain:
    def test_it_goes_on_with_the_run_that_is_there(
        self, emulator: EmulatorProcess, notebook: Written, context: Context, tmp_path: Path, logged: Logged
    ) -> None:
        sales = notebook("1", gate(tmp_path / "go"))
        deferral(operator(sales, deferrable=True), context)
        gate_pid(tmp_path / "go")
        second = self.next_try(context)
        (tmp_path / "go").touch()
        assert operator(sales, deferrable=False).execute(second)["success"] is True  # type: ignore[index]
        assert "Using the interactive run" in logged()
        assert started(emulator, sales) == 1

    def test_a_run_that_ended_well_meanwhile_is_delivered(
        self, emulator: EmulatorProcess, notebook: Written, context: Context
    ) -> None:
        sales = notebook("1")
        deferral_or_none(operator(sales, deferrable=True), context)
        sales.wait_while_busy()
        run = operator(sales, deferrable=False).execute(self.next_try(context))
        assert run is not None
        assert run["success"] is True
        assert started(emulator, sales) == 1

    def test_a_run_is_known_also_when_airflow_takes_no_xcom(
        self, emulator: EmulatorProcess, notebook: Written, context: Context, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sales = notebook("1")
        push = TaskInstance.xcom_push

        def broken(task_instance: TaskInstance, key: str, value: Any) -> None:
            if key == "interactive_run":
                raise OSError("no database")
            push(task_instance, key, value)

        monkeypatch.setattr(TaskInstance, "xcom_push", broken)
        with pytest.raises(OSError, match="no database"):
            operator(sales, deferrable=False).execute(context)
        monkeypatch.setattr(TaskInstance, "xcom_push", push)
        sales.wait_while_busy()
        run = operator(sales, deferrable=False).execute(self.next_try(context))
        assert run is not None
        assert run["success"] is True
        assert started(emulator, sales) == 1

    @pytest.mark.parametrize("code", ["1", "1 / 0"])
    def test_a_run_that_was_delivered_is_not_delivered_again(
        self, emulator: EmulatorProcess, notebook: Written, context: Context, code: str
    ) -> None:
        sales = notebook(code)
        for _ in range(2):
            try:
                operator(sales, deferrable=False).execute(context)
            except DataloreInteractiveRunFailedError:
                assert code == "1 / 0"
        assert started(emulator, sales) == 2

    def test_a_run_whose_kernel_is_lost_is_run_anew(
        self, emulator: EmulatorProcess, notebook: Written, context: Context, tmp_path: Path
    ) -> None:
        sales = notebook("1", gate(tmp_path / "go"))
        deferral(operator(sales, deferrable=True), context)
        gate_pid(tmp_path / "go")
        sales.call("agent/stop")
        (tmp_path / "go").touch()
        run = operator(sales, deferrable=False).execute(self.next_try(context))
        assert run is not None
        assert run["success"] is True
        assert started(emulator, sales) == 2

    async def test_a_run_that_the_kill_of_the_earlier_try_interrupts_is_run_anew(
        self, emulator: EmulatorProcess, notebook: Written, context: Context, tmp_path: Path
    ) -> None:
        sales = notebook(gate(tmp_path / "go"))
        trigger = trigger_of(deferral(operator(sales, deferrable=True), context))
        await asyncio.to_thread(gate_pid, tmp_path / "go")
        # As Airflow does when a deferred task is cleared: the second try begins before the first is killed.
        task, second = operator(sales, deferrable=True), self.next_try(context)
        waits = deferral(task, second)
        await trigger.on_kill()
        event = await sent_by(trigger_of(waits))
        (tmp_path / "go").touch()
        run = None
        while run is None:
            try:
                run = await asyncio.to_thread(in_a_thread, task, second, waits, event)
            except TaskDeferred as again:
                waits = again
                event = await sent_by(trigger_of(again))
        assert run["success"] is True
        assert started(emulator, sales) == 2

    def test_without_durability_it_is_run_anew(
        self, emulator: EmulatorProcess, notebook: Written, context: Context
    ) -> None:
        sales = notebook("1")
        deferral_or_none(operator(sales, deferrable=True, durable=False), context)
        operator(sales, deferrable=False, durable=False).execute(self.next_try(context))
        assert started(emulator, sales) == 2

    @staticmethod
    def next_try(context: Context) -> Context:
        """The context of the next try: XComs are gone, and what the task stored is there."""
        return {"ti": TaskInstance(), "task_state_store": context["task_state_store"]}


class TestATriggerThatIsLost:
    def lost(self, task: DataloreInteractiveRunOperator, context: Context, error: str) -> Any:
        return task.resume_execution("__fail__", {"error": error, "traceback": ["a line"]}, context)

    def test_a_run_that_ended_meanwhile_is_delivered(self, notebook: Written, context: Context) -> None:
        sales = notebook("1")
        task = operator(sales, deferrable=True)
        deferral_or_none(task, context)
        sales.wait_while_busy()
        assert self.lost(task, context, "Trigger failure")["success"] is True

    def test_one_that_goes_on_is_named(
        self, notebook: Written, context: Context, tmp_path: Path, logged: Logged
    ) -> None:
        sales = notebook(gate(tmp_path / "go"))
        task = operator(sales, deferrable=True)
        deferral(task, context)
        gate_pid(tmp_path / "go")
        with pytest.raises(DataloreInteractiveRunTimeoutError, match=wrapped("its run is running")):
            self.lost(task, context, "Trigger timeout")
        with pytest.raises(Exception, match=wrapped("Trigger failure.*its run is running")):
            self.lost(task, context, "Trigger failure")
        assert "a line" in logged()
        (tmp_path / "go").touch()

    def test_a_turn_that_had_not_come_is_named(self, notebook: Written, context: Context) -> None:
        with pytest.raises(Exception, match=wrapped("this task has not run the notebook")):
            self.lost(operator(notebook("1"), deferrable=True), context, "Trigger failure")


def deferral_or_none(task: DataloreInteractiveRunOperator, context: Context) -> None:
    """Run the first part of a task; a short notebook may be over by then, which is not what the test is about."""
    try:
        task.execute(context)
    except BaseException as deferred:
        if type(deferred).__name__ != "TaskDeferred":
            raise


def in_a_thread(task: DataloreInteractiveRunOperator, context: Context, waits: TaskDeferred, event: Any) -> Any:
    """Resume a task beside an event loop."""
    with elsewhere() as pool:
        return pool.submit(resume, task, context, waits, event).result(60)
