"""Tasks that go on at the cell that failed in an earlier try, if the kernel still holds what ran before."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from airflow_provider_datalore.exceptions import DataloreInteractiveRunFailedError
from airflow_provider_datalore.tasks import kernel_check
from tests.emulator.emulator_client import gate, gate_pid
from tests.emulator.notebook_client import Notebook, control
from tests.interactive.conftest import Context, Logged, Play, TaskInstance, Written, elsewhere, on_the_worker
from tests.interactive.test_cell_by_cell import Ran, at_once, by_cell, ran
from tests.interactive.test_runs_of_worksheets import on

__all__ = ["at_once", "ran"]

FROM_THE_START = "The notebook runs from the start, and not from the cell that failed, since "
RESUMED = r"resumed at cell 4 of 5; cells 1 to 3 are of try 1, \d\d:\d\d UTC"


class Tries:
    """The tries of one task, with all that Airflow keeps from one to the next."""

    def __init__(self, context: Context, task_instance: TaskInstance, play: Play) -> None:
        self._context, self._instance, self._play = context, task_instance, play
        self._number = 0

    def next(self, notebook: Notebook, **options: Any) -> Any:
        """The next try, after a clear."""
        self._number += 1
        self._instance.try_number = self._number  # type: ignore[attr-defined]
        self._instance.max_tries = self._number - 1
        self._instance.xcoms.clear()
        return self._play(by_cell(notebook, **({"resume": True} | options)), self._context)

    def fail(self, notebook: Notebook, **options: Any) -> str:
        """The next try, which fails; the text of its error."""
        with pytest.raises(DataloreInteractiveRunFailedError) as failed:
            self.next(notebook, **options)
        return " ".join(str(failed.value).split())


@pytest.fixture
def tries(context: Context, task_instance: TaskInstance) -> Tries:
    return Tries(context, task_instance, on_the_worker)


def five(ran: Ran, written: Written, mended: Path, *more: Any) -> Notebook:
    """A notebook of five cells, in which the fourth fails until a file is there; each needs the variables before it."""
    fails = f"import os\nassert os.path.exists({str(mended)!r})\nd = c + 1"
    return written(
        ran.cell(1, "a = 1"),
        ran.cell(2, "b = a + 1"),
        on(1, ran.cell(3, "c = b + 1")),
        on(1, ran.cell(4, fails)),
        on(2, ran.cell(5, "assert d == 4")),
        *more,
    )


def ids(notebook: Notebook) -> list[str]:
    """The cells of all worksheets."""
    answers = [notebook.call("cells", includeOutputs=True, worksheetIndex=number) for number in range(3)]
    return [cell["cellId"] for answer in answers if answer.ok for cell in answer.json()["cellsWithOutputs"]]


def test_a_later_try_goes_on_at_the_cell_that_failed(
    play: Play,
    notebook: Written,
    context: Context,
    task_instance: TaskInstance,
    ran: Ran,
    tmp_path: Path,
    logged: Logged,
) -> None:
    tries = Tries(context, task_instance, play)
    sales = five(ran, notebook, tmp_path / "mended")
    text = tries.fail(sales)
    assert "it resumes at cell 4 of 5, if the kernel is still as this try left it" in text
    (tmp_path / "mended").touch()
    run = tries.next(sales)
    assert ran.counts == {1: 1, 2: 1, 3: 1, 4: 2, 5: 1}
    assert (run["success"], run["resumed_at"], run["kept"]) == (True, 4, 3)
    assert re.fullmatch(RESUMED, run["resumed"])
    assert len(run["cells"]) == 5
    assert task_instance.xcoms["run"] == run
    assert re.search(RESUMED, logged())
    # Nothing of the check is left in the notebook.
    assert len(ids(sales)) == 5


def test_the_cell_that_failed_runs_as_it_is_now(notebook: Written, tries: Tries, ran: Ran, tmp_path: Path) -> None:
    sales = five(ran, notebook, tmp_path / "never")
    tries.fail(sales)
    sales.json("cell/edit", cellId=ids(sales)[3], newContent=ran.cell(40, "d = c + 1"))
    assert tries.next(sales)["kept"] == 3
    assert ran.order == [1, 2, 3, 4, 40, 5]


def test_it_can_be_resumed_more_than_once(notebook: Written, tries: Tries, ran: Ran, tmp_path: Path) -> None:
    sales = five(ran, notebook, tmp_path / "mended")
    tries.fail(sales)
    tries.fail(sales)
    (tmp_path / "mended").touch()
    sales.json("cell/edit", cellId=ids(sales)[4], newContent=ran.cell(5, "assert d == 0"))
    tries.fail(sales)
    sales.json("cell/edit", cellId=ids(sales)[4], newContent=ran.cell(5, "assert d == 4"))
    run = tries.next(sales)
    assert ran.counts == {1: 1, 2: 1, 3: 1, 4: 3, 5: 2}
    words = r"resumed at cell 5 of 5; cells 1 to 3 are of try 1, .* UTC; cell 4 is of try 3, .* UTC"
    assert re.fullmatch(words, run["resumed"])
    assert (run["resumed_at"], run["kept"]) == (5, 4)


def test_without_resume_it_runs_from_the_start(notebook: Written, tries: Tries, ran: Ran, tmp_path: Path) -> None:
    sales = five(ran, notebook, tmp_path / "mended")
    tries.fail(sales, resume=False)
    (tmp_path / "mended").touch()
    run = tries.next(sales, resume=False)
    assert (run["resumed_at"], run["kept"]) == (None, 0)
    assert ran.counts == {1: 2, 2: 2, 3: 2, 4: 2, 5: 1}


def test_after_a_success_it_runs_from_the_start(notebook: Written, tries: Tries, ran: Ran, tmp_path: Path) -> None:
    sales = five(ran, notebook, tmp_path / "mended")
    tries.fail(sales)
    (tmp_path / "mended").touch()
    tries.next(sales)
    assert tries.next(sales)["kept"] == 0
    assert ran.counts == {1: 2, 2: 2, 3: 2, 4: 3, 5: 2}


class TestFromTheStart:
    def test_if_the_kernel_was_restarted(
        self, notebook: Written, tries: Tries, ran: Ran, tmp_path: Path, logged: Logged
    ) -> None:
        sales = five(ran, notebook, tmp_path / "mended")
        tries.fail(sales)
        (tmp_path / "mended").touch()
        sales.json("kernel/restart", waitUntilReady=True)
        assert tries.next(sales)["kept"] == 0
        assert ran.counts == {1: 2, 2: 2, 3: 2, 4: 2, 5: 1}
        assert f"{FROM_THE_START}the kernel is another one: cell 1 of 5 has not been executed in it." in logged()

    def test_if_the_kernel_was_restarted_on_a_datalore_that_keeps_the_numbers(
        self,
        emulator: EmulatorProcess,
        notebook: Written,
        tries: Tries,
        ran: Ran,
        tmp_path: Path,
        logged: Logged,
    ) -> None:
        emulator.set_variant(after_restart="kept")
        sales = five(ran, notebook, tmp_path / "mended")
        tries.fail(sales)
        (tmp_path / "mended").touch()
        sales.json("kernel/restart", waitUntilReady=True)
        assert tries.next(sales)["kept"] == 0
        assert ran.counts == {1: 2, 2: 2, 3: 2, 4: 2, 5: 1}
        assert f"{FROM_THE_START}the kernel is another one" in logged()
        assert len(ids(sales)) == 5

    def test_if_the_session_was_stopped(
        self, notebook: Written, tries: Tries, ran: Ran, tmp_path: Path, logged: Logged
    ) -> None:
        sales = five(ran, notebook, tmp_path / "mended")
        tries.fail(sales)
        (tmp_path / "mended").touch()
        sales.call("agent/stop")
        assert tries.next(sales)["kept"] == 0
        assert ran.counts == {1: 2, 2: 2, 3: 2, 4: 2, 5: 1}
        assert f"{FROM_THE_START}the kernel is not running any more" in logged()

    def test_if_an_earlier_cell_was_edited(
        self, notebook: Written, tries: Tries, ran: Ran, tmp_path: Path, logged: Logged
    ) -> None:
        sales = five(ran, notebook, tmp_path / "mended")
        tries.fail(sales)
        (tmp_path / "mended").touch()
        sales.json("cell/edit", cellId=ids(sales)[1], newContent=ran.cell(20, "b = 2"))
        assert tries.next(sales)["kept"] == 0
        assert ran.order == [1, 2, 3, 4, 1, 20, 3, 4, 5]
        assert f"{FROM_THE_START}cell 2 of 5, which is before the one that failed, was edited." in logged()

    def test_if_an_earlier_cell_was_executed_again(
        self, notebook: Written, tries: Tries, ran: Ran, tmp_path: Path, logged: Logged
    ) -> None:
        sales = five(ran, notebook, tmp_path / "mended")
        tries.fail(sales)
        (tmp_path / "mended").touch()
        sales.json("cell/run", cellId=ids(sales)[0])
        assert tries.next(sales)["kept"] == 0
        assert ran.order == [1, 2, 3, 4, 1, 1, 2, 3, 4, 5]
        assert f"{FROM_THE_START}cell 1 of 5, which is before the one that failed, was executed again" in logged()

    def test_if_an_earlier_cell_was_edited_while_the_notebook_ran(
        self, context: Context, notebook: Written, tries: Tries, ran: Ran, tmp_path: Path, logged: Logged
    ) -> None:
        sales = notebook(ran.cell(1), ran.cell(2, gate(tmp_path / "go")), ran.cell(3, "1 / 0"))
        with elsewhere() as pool:
            played = pool.submit(tries.fail, sales)
            gate_pid(tmp_path / "go")
            sales.json("cell/edit", cellId=ids(sales)[0], newContent=ran.cell(10))
            (tmp_path / "go").touch()
            played.result(30)
        tries.fail(sales)
        assert ran.order == [1, 2, 3, 10, 2, 3]
        assert f"{FROM_THE_START}cell 1 of 3, which is before the one that failed, was edited" in logged()

    @pytest.mark.parametrize("change", ["added", "deleted"])
    def test_if_earlier_cells_were_added_or_deleted(
        self, notebook: Written, tries: Tries, ran: Ran, tmp_path: Path, change: str, logged: Logged
    ) -> None:
        sales = five(ran, notebook, tmp_path / "mended")
        tries.fail(sales)
        (tmp_path / "mended").touch()
        if change == "added":
            sales.json("cell/create", cellType="CODE", source=ran.cell(15), afterCellId=ids(sales)[0])
        else:
            sales.json("cell/edit", cellId=ids(sales)[1], newContent=ran.cell(2, "b = 2"))
            sales.call("cell/delete", cellId=ids(sales)[0])
        assert tries.next(sales)["kept"] == 0
        assert f"{FROM_THE_START}cells before the one that failed were added, deleted or moved." in logged()

    def test_if_the_parameters_are_others(
        self, notebook: Written, tries: Tries, ran: Ran, tmp_path: Path, logged: Logged
    ) -> None:
        sales = notebook(control("TEXT_INPUT", "name", value=""), ran.cell(1), ran.cell(2, "assert name == 'Bob'"))
        tries.fail(sales, parameters={"name": "Ann"})
        assert tries.next(sales, parameters={"name": "Bob"})["kept"] == 0
        assert ran.counts == {1: 2, 2: 2}
        assert f"{FROM_THE_START}the parameters are others than those of the earlier try." in logged()

    def test_if_a_person_set_a_control(
        self, notebook: Written, tries: Tries, ran: Ran, tmp_path: Path, logged: Logged
    ) -> None:
        sales = notebook(control("TEXT_INPUT", "name", value=""), ran.cell(1), ran.cell(2, "assert 0"))
        tries.fail(sales, parameters={"name": "Ann"})
        cell = sales.cells()[0]
        sales.json("cell/controls/update", cellId=cell["cellId"], control={**cell["data"]["control"], "value": "Bob"})
        tries.fail(sales, parameters={"name": "Ann"})
        assert ran.counts == {1: 2, 2: 2}
        assert f"{FROM_THE_START}cell 1 of 3, which is before the one that failed, was edited." in logged()


def test_with_parameters_it_goes_on_too(notebook: Written, tries: Tries, ran: Ran, tmp_path: Path) -> None:
    name, size = control("TEXT_INPUT", "name", value=""), control("TEXT_INPUT", "size", value="")
    sales = notebook(
        name, ran.cell(1), ran.cell(2, "assert 0"), size, ran.cell(3, "assert (name, size) == ('Ann', 'L')")
    )
    tries.fail(sales, parameters={"name": "Ann", "size": "L"})
    cells = sales.cells()
    sales.json("cell/controls/update", cellId=cells[3]["cellId"], control={**cells[3]["data"]["control"], "value": "S"})
    sales.json("cell/edit", cellId=cells[2]["cellId"], newContent=ran.cell(2))
    run = tries.next(sales, parameters={"name": "Ann", "size": "L"})
    assert ran.counts == {1: 1, 2: 2, 3: 1}
    assert (run["resumed_at"], run["kept"]) == (3, 2)


def test_a_person_who_tried_the_mended_cell_is_named_and_hinders_nothing(
    notebook: Written, tries: Tries, ran: Ran, tmp_path: Path, logged: Logged
) -> None:
    sales = five(ran, notebook, tmp_path / "mended")
    tries.fail(sales)
    (tmp_path / "mended").touch()
    sales.json("cell/run", cellId=ids(sales)[3])
    assert tries.next(sales)["kept"] == 3
    assert ran.counts == {1: 1, 2: 1, 3: 1, 4: 3, 5: 1}
    assert "used the kernel since the earlier try" in logged()


def test_a_cell_that_a_killed_try_left_is_removed(notebook: Written, tries: Tries, ran: Ran, tmp_path: Path) -> None:
    sales = five(ran, notebook, tmp_path / "mended")
    tries.fail(sales)
    (tmp_path / "mended").touch()
    sales.json("cell/create", cellType="CODE", source=f"1  # {kernel_check._TEXT}")
    assert tries.next(sales)["kept"] == 3
    assert len(ids(sales)) == 5
    assert ran.counts == {1: 1, 2: 1, 3: 1, 4: 2, 5: 1}


@pytest.mark.parametrize(
    "fault", [{"kind": "drop", "when": "after"}, {"kind": "status", "status": 403}, {"kind": "json", "body": {}}]
)
def test_a_kernel_that_cannot_be_recognized_is_another_one(
    emulator: EmulatorProcess,
    notebook: Written,
    tries: Tries,
    ran: Ran,
    tmp_path: Path,
    fault: dict[str, Any],
    logged: Logged,
) -> None:
    sales = five(ran, notebook, tmp_path / "mended")
    tries.fail(sales)
    (tmp_path / "mended").touch()
    emulator.set_faults([{**fault, "path": "cell/create"}])
    assert tries.next(sales)["kept"] == 0
    assert ran.counts == {1: 2, 2: 2, 3: 2, 4: 2, 5: 1}
    assert f"{FROM_THE_START}the kernel is another one, or cannot be recognized" in logged()
    assert len(ids(sales)) == 5


def test_the_session_is_kept_for_the_later_try(
    notebook: Written, tries: Tries, ran: Ran, tmp_path: Path, logged: Logged
) -> None:
    sales = five(ran, notebook, tmp_path / "mended")
    tries.fail(sales, stop_session_after=True)
    assert "is not stopped: a later try resumes in its kernel" in logged()
    (tmp_path / "mended").touch()
    assert tries.next(sales, stop_session_after=True)["kept"] == 3
    assert sales.state() == "NOT_STARTED"


def test_a_task_that_was_killed_goes_on_at_the_cell_that_was_interrupted(
    context: Context, notebook: Written, tries: Tries, ran: Ran, tmp_path: Path
) -> None:
    from tests.interactive.test_cell_by_cell import _exit_thread

    sales = notebook(ran.cell(1), ran.cell(2), ran.cell(3, gate(tmp_path / "go")), ran.cell(4))
    with elsewhere() as pool, pytest.MonkeyPatch.context() as patched:
        killed = pool.submit(tries.next, sales)
        gate_pid(tmp_path / "go")
        patched.setattr("airflow_provider_datalore.transport.drivers.time.sleep", _exit_thread)
        with pytest.raises(SystemExit):
            killed.result(30)
    sales.call("kernel/interrupt")
    sales.wait_while_busy()
    (tmp_path / "go").touch()
    run = tries.next(sales)
    assert (run["resumed_at"], run["kept"]) == (3, 2)
    assert ran.counts == {1: 1, 2: 1, 3: 2, 4: 1}


def test_where_nothing_can_be_remembered_that_is_said_once(
    notebook: Written,
    task_instance: TaskInstance,
    ran: Ran,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sales = five(ran, notebook, tmp_path / "mended")
    tries = Tries({"ti": task_instance}, task_instance, on_the_worker)
    tries.fail(sales)
    (tmp_path / "mended").touch()
    assert tries.next(sales)["kept"] == 0
    text = capsys.readouterr().out + caplog.text
    # Airflow 3 prints what a task logs, and a test sees it in both places.
    assert max(each.count("resume=True has no effect") for each in (text[: -len(caplog.text)], caplog.text)) == 1
    assert FROM_THE_START in text
    assert ran.counts == {1: 2, 2: 2, 3: 2, 4: 2, 5: 1}
