"""What the tab shows of an interactive run while it runs: its cells, their states and their output."""

from __future__ import annotations

from typing import Any

import airflow
import pytest

from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.api.notebook_models import Cell, Kernel
from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot
from airflow_provider_datalore.plugin import live_runs, runs
from airflow_provider_datalore.plugin.progress import Progress, progress_of
from airflow_provider_datalore.plugin.view import TabView
from tests.plugin.conftest import numbers
from tests.plugin.test_tab_states import cells, interactive_task, page, snapshot
from tests.scripted_server import ScriptedServer

pytestmark = pytest.mark.skipif(
    tuple(map(int, airflow.__version__.split(".")[:2])) < (3, 1), reason="Airflow before 3.1 has no tabs"
)


def progress(*statuses: str, running: int | None = None, printed: dict[str, str] | None = None) -> Progress:
    """The progress of a run of cells with these statuses."""
    found = tuple(Cell.model_validate(cell) for cell in cells(*statuses))
    kernel = Kernel(state="READY" if running is None else "BUSY", running_cell_id=f"c{running}" if running else None)
    before = Snapshot.from_text(snapshot("ann/sales", len(statuses)))
    return progress_of(before, NotebookState(kernel, found), printed or {}, lambda text: text.replace("hunter2", "***"))


def test_each_cell_has_its_state() -> None:
    shown = progress("VALID", "WARNING", "STARTED", "WAITING", running=2)
    assert [cell.state for cell in shown.cells] == ["done", "done", "running", "open"]
    assert (shown.done, shown.total, shown.current) == (2, 4, "Cell 3 of 4: 1")


def test_a_cell_that_failed_is_the_current_one() -> None:
    shown = progress("VALID", "ERROR", "NONE")
    assert (shown.done, shown.current) == (2, "Cell 2 of 3 failed: 1")


def test_a_cell_that_waits_for_the_kernel_does_not_run() -> None:
    shown = progress("NONE", "WAITING", "NONE", running=1)
    assert [cell.state for cell in shown.cells] == ["open", "open", "open"]
    assert shown.current == "0 of 3 cells have run"


def test_output_is_masked_and_only_of_cells_that_have_run() -> None:
    shown = progress("VALID", "STARTED", "NONE", running=1, printed={"c1": "key hunter2", "c2": "of the run before"})
    assert [cell.output for cell in shown.cells] == ["", "key ***", ""]


class TestTab:
    @pytest.fixture
    def notebook(self) -> str:
        return f"ann/progress{next(numbers)}"

    @pytest.fixture(autouse=True)
    def _not_cached(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runs, "RUNNING_RUN_TTL", 0.0)

    def reports(self, server: ScriptedServer, printed: str, **more: Any) -> None:
        """The second of three cells is running."""
        outputs = [{"outputType": "TEXT", "text": printed}]
        listed = cells("VALID", "STARTED", "WAITING")
        listed[1] |= {"outputs": outputs}
        server.route("POST", "/api/notebook/v1/kernel/status", json={"state": "BUSY", "runningCellId": "c1"})
        server.route("POST", "/api/notebook/v1/cells", json={"cellsWithOutputs": listed})
        outcome = {"executionStatus": "STARTED", "outputs": outputs, **more}
        server.route("POST", "/api/notebook/v1/cell/outputs", json=outcome)

    def test_the_output_so_far_is_shown_and_grows_with_one_request(self, server: ScriptedServer, notebook: str) -> None:
        running = interactive_task(notebook, state="deferred", snapshot=snapshot(notebook))
        self.reports(server, "epoch 1\n")
        first = TabView.of(running)
        assert "epoch 1" in page(first)
        assert "1 of 3 cells" in page(first)
        before = len(server.requests)
        self.reports(server, "epoch 1\nepoch 2\n")
        second = TabView.of(running)
        assert "epoch 2" in page(second)
        assert len(server.requests) == before + 1
        assert (second.layout, second.version == first.version) == (first.layout, False)

    def test_hostile_output_is_text(self, server: ScriptedServer, notebook: str) -> None:
        self.reports(server, "<img src=x onerror=alert(1)>\x1b[31m\u202e")
        seen = TabView.of(interactive_task(notebook, state="deferred", snapshot=snapshot(notebook)))
        from airflow_provider_datalore.plugin.app import templates

        html = templates.get_template("progress.html").render(view=seen)
        assert "&lt;img src=x onerror=alert(1)&gt;" in html
        assert "\x1b" not in html
        assert "\u202e" not in html

    def test_long_output_is_bounded(self, server: ScriptedServer, notebook: str) -> None:
        self.reports(server, "".join(f"line {number}\n" for number in range(5000)))
        seen = TabView.of(interactive_task(notebook, state="deferred", snapshot=snapshot(notebook)))
        assert seen.interactive is not None
        assert seen.interactive.progress is not None
        lines = seen.interactive.progress.cells[1].output.split("\n")
        assert len(lines) <= live_runs.MAX_OUTPUT_LINES
        assert lines[-1] == "line 4999"

    def test_the_usual_time_is_shown_while_it_runs(self, server: ScriptedServer, notebook: str) -> None:
        self.reports(server, "")
        running = interactive_task(notebook, state="deferred", snapshot=snapshot(notebook), usual_duration=125.0)
        assert "Usually 2 min 05 s" in page(TabView.of(running))
        assert "a run usually takes 2 min 05 s" in page(TabView.of(running))

    def test_secret_parameters_are_not_shown(self, server: ScriptedServer, notebook: str) -> None:
        owner, _, name = notebook.partition("/")
        code = tuple(Cell.model_validate(cell) for cell in cells("NONE", "NONE", "NONE"))
        before = Snapshot.take(NotebookId(owner, name), NotebookState(Kernel(state="READY"), code), {})
        text = Snapshot(**{**_fields(before), "secret": ("key",)}).to_text()
        self.reports(server, "with swordfish\n")
        control = {"controlType": "TEXT_INPUT", "variable": "key", "value": "swordfish"}
        listed = cells("VALID", "STARTED", "WAITING")
        listed[1] |= {"outputs": [{"outputType": "TEXT", "text": "with swordfish\n"}]}
        listed.append({"cellId": "k", "cellType": "CONTROL", "position": 3, "data": {"control": control}})
        server.route("POST", "/api/notebook/v1/cells", json={"cellsWithOutputs": listed})
        shown = page(TabView.of(interactive_task(notebook, state="deferred", snapshot=text)))
        assert "with ***" in shown
        assert "swordfish" not in shown


def _fields(snapshot: Snapshot) -> dict[str, Any]:
    return {name: getattr(snapshot, name) for name in snapshot.__dataclass_fields__}
