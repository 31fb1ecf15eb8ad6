"""The log of a task that waits for an interactive run shows its progress and its output, while it runs."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from airflow_provider_datalore.exceptions import DataloreInteractiveRunFailedError
from airflow_provider_datalore.operators.datalore import DataloreInteractiveRunOperator
from tests.emulator.emulator_client import gate, gate_pid, wait_until
from tests.emulator.notebook_client import control
from tests.interactive.conftest import Context, Play, Written, elsewhere, operator

ALL = pytest.mark.parametrize("mode", [{}, {"cell_by_cell": True}], ids=["run", "cell by cell"])


class Log:
    """All that was logged up to now."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        self._caplog = caplog

    @property
    def text(self) -> str:
        return self._caplog.text

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.text)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    return Log(caplog)


def held(task: DataloreInteractiveRunOperator, context: Context, play: Play, happens: Callable[[], Any]) -> Any:
    """Play a task, while something happens."""
    with elsewhere() as pool:
        played = pool.submit(play, task, context)
        happens()
        return played.result(60)


@ALL
def test_the_log_shows_the_output_of_a_cell_before_the_cell_is_over(
    play: Play, notebook: Written, context: Context, log: Log, tmp_path: Path, mode: dict[str, Any]
) -> None:
    slow = f"print(f'loaded {{1}} of 2', flush=True)\n{gate(tmp_path / 'go')}\nprint('loaded 2 of 2')"
    sales = notebook(nbformat.v4.new_markdown_cell("# Sales"), "x = 1", "print('quick')", slow, "print('last')")

    def happens() -> None:
        gate_pid(tmp_path / "go")
        log.wait_for("loaded 1 of 2")
        assert "loaded 2 of 2" not in log.text
        assert "Cell 3 of 4 started: print(f'loaded {1} of 2', flush=True)\n" in log.text
        (tmp_path / "go").touch()

    held(operator(sales, **mode), context, play, happens)
    log.wait_for("Cell 4 of 4")
    assert "quick" in log.text
    # The quick cells may end while neither the worker nor the triggerer watches the notebook.
    assert re.search(r"Cell 3 of 4 succeeded in \d+\.\d s\.", log.text)
    assert re.search(r"Cell 3 of 4 printed:\s+loaded 2 of 2\s", log.text)
    assert re.search(r"Cell 4 of 4 printed:\s+last\s", log.text)
    assert log.text.count("Cell 3 of 4 started") == 1
    assert log.text.count("    loaded 1 of 2") == 1


@ALL
def test_without_log_output_only_the_cells_are_logged(
    play: Play, notebook: Written, context: Context, log: Log, emulator: EmulatorProcess, mode: dict[str, Any]
) -> None:
    sales = notebook("print('confi' + 'dential')", "2")
    before = emulator.log()["requests"].get("POST /api/notebook/v1/cell/outputs", 0)
    play(operator(sales, log_output=False, **mode), context)
    assert "Cell 2 of 2 succeeded in " in log.text
    assert "confidential" not in log.text
    if not mode:
        assert emulator.log()["requests"].get("POST /api/notebook/v1/cell/outputs", 0) == before


def test_the_cells_of_all_worksheets_are_counted(play: Play, notebook: Written, context: Context, log: Log) -> None:
    sales = notebook("1", nbformat.v4.new_markdown_cell("text"), "2")
    created = sales.json("worksheet/create", name="Second")
    sales.json("cell/edit", cellId=created["firstCellId"], newContent="print('on the second')")
    play(operator(sales), context)
    assert "Cell 3 of 3 succeeded in " in log.text
    assert "on the second" in log.text


def test_a_cell_that_fails_is_told_with_its_time(play: Play, notebook: Written, context: Context, log: Log) -> None:
    sales = notebook("1", "print('so far', flush=True)\n1 / 0", "3")
    with pytest.raises(DataloreInteractiveRunFailedError):
        play(operator(sales), context)
    assert re.search(r"Cell 2 of 3 failed after \d+\.\d s\.", log.text)
    assert re.search(r"Cell 2 of 3 printed:\s+so far\s", log.text)


@ALL
def test_secret_parameters_are_masked_in_the_output(
    play: Play, notebook: Written, context: Context, log: Log, mode: dict[str, Any]
) -> None:
    sales = notebook(control("TEXT_INPUT", "api_key", value=""), "print('with', api_key)")
    play(operator(sales, parameters={"api_key": "swordfish"}, **mode), context)
    assert "with ***" in log.text
    assert "swordfish" not in log.text


def test_while_a_cell_runs_each_poll_is_one_request(
    play: Play, notebook: Written, context: Context, log: Log, emulator: EmulatorProcess, tmp_path: Path
) -> None:
    printing = (
        f"import pathlib, time\nwhile not pathlib.Path({str(tmp_path / 'go')!r}).exists():\n"
        "    print('tick', time.time(), flush=True); time.sleep(0.1)"
    )
    sales = notebook("1", printing)

    def requests() -> int:
        counted: int = sum(emulator.log()["requests"].values())
        return counted

    def happens() -> None:
        log.wait_for("tick")
        before, lines = requests(), log.text.count("tick")
        wait_until(lambda: log.text.count("tick") >= lines + 8)
        # Not more than a poll for each 0.18 s, the shortest interval: `poll_interval` is 0.2 s.
        polls = requests() - before
        seen = log.text.count("Cell 2 of 2 printed")
        assert 2 <= polls <= 2 * seen + 4
        (tmp_path / "go").touch()

    held(operator(sales), context, play, happens)


def test_many_quick_cells_take_one_line(play: Play, notebook: Written, context: Context, log: Log) -> None:
    sales = notebook(*(f"x = {number}" for number in range(30)))
    play(operator(sales, poll_interval=3), context)
    assert re.search(r"Cells \d+ to \d+ of 30 ended in \d+\.\d s; all succeeded\.", log.text)
