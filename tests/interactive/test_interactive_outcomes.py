"""What becomes of a task that waits for an interactive run, on a worker or in the triggerer: the same."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreInteractiveRunFailedError,
    DataloreInteractiveRunTimeoutError,
    DataloreKernelLostError,
    DataloreNotebookApiMissingError,
    DataloreRunFailedError,
    DataloreUnavailableError,
)
from tests.emulator.emulator_client import Client, gate, gate_pid, wait_until
from tests.emulator.notebook_client import Notebook, control
from tests.interactive.conftest import (
    TOKEN,
    Context,
    Play,
    TaskInstance,
    Written,
    connect,
    meanwhile,
    operator,
    started,
)
from tests.lines import in_one, wrapped


def test_a_run_that_goes_well_returns_what_it_executed(
    play: Play, notebook: Written, context: Context, task_instance: TaskInstance
) -> None:
    sales = notebook(nbformat.v4.new_markdown_cell("# Sales"), "print('one')", "2", "  ")
    run = play(operator(sales), context)
    assert (run["notebook_id"], run["success"], run["failed_cell_id"]) == (sales.id, True, None)
    assert [(cell["position"], cell["execution_status"]) for cell in run["cells"]] == [(1, "VALID"), (2, "VALID")]
    assert task_instance.xcoms["run"] == run
    assert task_instance.xcoms["notebook_url"].endswith(f"/notebook/{sales.id}")
    assert sales.outcome(1)["stdout"] == "one\n"


def test_a_second_run_of_the_same_session_is_waited_for_as_well(
    play: Play, notebook: Written, context: Context, tmp_path: Path
) -> None:
    sales = notebook("1", gate(tmp_path / "go"))
    (tmp_path / "go").touch()
    play(operator(sales), context)
    (tmp_path / "go").unlink()
    run = meanwhile(play, operator(sales), context, lambda: (gate_pid(tmp_path / "go"), (tmp_path / "go").touch()))
    assert [cell["execution_count"] for cell in run["cells"]] == [3, 4]


def test_a_cell_that_fails_fails_the_task_and_is_told(
    play: Play, notebook: Written, context: Context, task_instance: TaskInstance
) -> None:
    sales = notebook("1", "print('so far')\nvalues = {}\nvalues['sold']", "3")
    with pytest.raises(DataloreInteractiveRunFailedError) as failed:
        play(operator(sales), context)
    failure = failed.value.failure
    assert failure is not None
    assert (failure.number, failure.error_name, failure.error_value) == (2, "KeyError", "'sold'")
    assert "->   3 values['sold']" in failure.source
    assert "KeyError" in failure.traceback
    assert "\x1b" not in failure.traceback
    assert failure.output == "so far"
    shown = in_one(failed.value)
    assert "failed in cell 2: KeyError: 'sold'" in shown
    assert "->   3 values['sold']" in str(failed.value)
    assert "It printed last: so far" in shown
    assert isinstance(failed.value, DataloreRunFailedError)
    assert failed.value.notebook_id == sales.id
    assert task_instance.xcoms["run"]["success"] is False


def test_an_error_of_the_run_before_is_not_taken_for_one_of_this_run(
    play: Play, notebook: Written, context: Context
) -> None:
    sales = notebook("runs = globals().get('runs', 0) + 1", "assert runs > 1")
    with pytest.raises(DataloreInteractiveRunFailedError):
        play(operator(sales), context)
    assert play(operator(sales), context)["success"] is True


def test_a_warning_is_a_success(play: Play, notebook: Written, context: Context) -> None:
    run = play(operator(notebook("import warnings; warnings.warn('careful')")), context)
    assert [cell["execution_status"] for cell in run["cells"]] == ["WARNING"]


def test_a_notebook_without_code_is_over_at_once(play: Play, notebook: Written, context: Context) -> None:
    assert play(operator(notebook(nbformat.v4.new_markdown_cell("# Nothing"))), context)["success"] is True


@pytest.mark.parametrize("status", ["NONE", "STARTED"])
def test_a_kernel_that_is_killed_is_noticed(
    play: Play, emulator: EmulatorProcess, notebook: Written, context: Context, tmp_path: Path, status: str
) -> None:
    emulator.set_variant(crashed_cell=status)
    sales = notebook("1", gate(tmp_path / "never"), "3")
    with pytest.raises(
        DataloreKernelLostError, match=wrapped(r"2 of 3 cells have not run, cell 2 first.*died, or a user restarted it")
    ):
        meanwhile(play, operator(sales), context, lambda: os.kill(gate_pid(tmp_path / "never"), signal.SIGKILL))


def test_a_cell_that_a_killed_kernel_leaves_as_an_error_fails_the_task(
    play: Play, emulator: EmulatorProcess, notebook: Written, context: Context, tmp_path: Path
) -> None:
    emulator.set_variant(crashed_cell="ERROR")
    sales = notebook(gate(tmp_path / "never"))
    with pytest.raises(DataloreInteractiveRunFailedError, match=wrapped("an error without a name")):
        meanwhile(play, operator(sales), context, lambda: os.kill(gate_pid(tmp_path / "never"), signal.SIGKILL))


@pytest.mark.parametrize(
    ("call", "words"), [("kernel/restart", "died, or a user restarted it"), ("agent/stop", "session was stopped")]
)
def test_a_kernel_that_someone_restarts_or_stops_is_noticed(
    play: Play, notebook: Written, context: Context, tmp_path: Path, call: str, words: str
) -> None:
    sales = notebook("1", gate(tmp_path / "never"))
    with pytest.raises(DataloreKernelLostError, match=wrapped(words)):
        meanwhile(play, operator(sales), context, lambda: (gate_pid(tmp_path / "never"), sales.call(call)))


def test_a_kernel_that_someone_interrupts_fails_the_task(
    play: Play, notebook: Written, context: Context, tmp_path: Path
) -> None:
    sales = notebook(gate(tmp_path / "never"), "2")
    with pytest.raises(DataloreInteractiveRunFailedError, match="KeyboardInterrupt"):
        meanwhile(
            play, operator(sales), context, lambda: (gate_pid(tmp_path / "never"), sales.call("kernel/interrupt"))
        )


def test_a_kernel_that_never_starts_is_given_up(
    play: Play, notebook: Written, monkeypatch: pytest.MonkeyPatch, context: Context, tmp_path: Path
) -> None:
    with EmulatorProcess(tmp_path, "--max-parallel-runs", "1", "--booting", "ready", token=TOKEN) as busy:
        connect(monkeypatch, busy.url)
        other = Client(busy)
        (tmp_path / "me").mkdir()
        nbformat.write(
            nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(gate(tmp_path / "never"))]),
            tmp_path / "me" / "held.ipynb",
        )
        nbformat.write(
            nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]), tmp_path / "me" / "sales.ipynb"
        )
        other.start("me/held")
        gate_pid(tmp_path / "never")
        with pytest.raises(
            DataloreKernelLostError, match=wrapped(r"ran within 1 s \(start_timeout\): its kernel is READY")
        ):
            play(operator(Notebook(other, "me/sales"), start_timeout=1), context)


def test_a_kernel_that_boots_without_looking_busy_is_waited_for(
    play: Play, emulator: EmulatorProcess, notebook: Written, context: Context
) -> None:
    emulator.set_variant(booting="ready")
    assert play(operator(notebook("1", "2")), context)["success"] is True


def test_the_time_limit_ends_the_wait_and_says_where_the_notebook_goes_on(
    play: Play, notebook: Written, context: Context, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    sales = notebook(gate(go))
    go.touch()
    sales.run_to_end()
    # Its kernel is there now: it need not boot within the time limit.
    go.unlink()
    with pytest.raises(DataloreInteractiveRunTimeoutError, match=wrapped(f"it is running.*/notebook/{sales.id}")):
        play(operator(sales, timeout=4), context)
    go.touch()


def test_an_outage_is_borne(
    play: Play, emulator: EmulatorProcess, notebook: Written, context: Context, tmp_path: Path
) -> None:
    sales = notebook("1", gate(tmp_path / "go"))

    def outage() -> None:
        gate_pid(tmp_path / "go")
        path = "/api/notebook/v1/"
        emulator.set_faults([{"kind": "status", "status": 502, "path": path, "times": 3}])
        wait_until(lambda: emulator.log()["faults"][0]["injected"] == 3)
        emulator.set_faults([{"kind": "drop", "path": path, "times": 2}])
        wait_until(lambda: emulator.log()["faults"][0]["injected"] == 2)
        (tmp_path / "go").touch()

    assert meanwhile(play, operator(sales), context, outage)["success"] is True
    assert started(emulator, sales) == 1


def test_an_outage_that_lasts_too_long_fails_the_task(
    play: Play, emulator: EmulatorProcess, notebook: Written, context: Context, tmp_path: Path
) -> None:
    sales = notebook(gate(tmp_path / "go"))

    def outage() -> None:
        gate_pid(tmp_path / "go")
        emulator.set_faults([{"kind": "status", "status": 502, "path": "/api/notebook/v1/"}])

    with pytest.raises(DataloreUnavailableError):
        meanwhile(play, operator(sales, max_outage=0.5), context, outage)
    (tmp_path / "go").touch()


def test_a_rotated_token_is_picked_up(
    play: Play,
    emulator: EmulatorProcess,
    notebook: Written,
    context: Context,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    sales = notebook(gate(tmp_path / "go"))

    def rotation() -> None:
        gate_pid(tmp_path / "go")
        connect(monkeypatch, emulator.url, "another-token-0123456789")
        emulator.set_tokens("another-token-0123456789")
        (tmp_path / "go").touch()

    assert meanwhile(play, operator(sales), context, rotation)["success"] is True


def test_a_server_without_the_notebook_api_is_named_before_anything_runs(
    play: Play, emulator: EmulatorProcess, notebook: Written, context: Context
) -> None:
    emulator.set_variant(notebook_api=False)
    sales = notebook("1")
    with pytest.raises(
        DataloreNotebookApiMissingError, match=wrapped(r"Datalore Cloud, or Datalore on-premises 2026\.2")
    ):
        play(operator(sales), context)
    assert started(emulator, sales) == 0


def test_a_notebook_that_does_not_exist_is_not_taken_for_a_server_without_the_notebook_api(
    play: Play, client: Client, context: Context
) -> None:
    with pytest.raises(Exception, match="does not exist, or is not shared with the owner of the token"):
        play(operator(Notebook(client, "me/gone")), context)


def test_without_waiting_no_notebook_api_is_needed(
    emulator: EmulatorProcess, notebook: Written, context: Context
) -> None:
    emulator.set_variant(notebook_api=False)
    sales = notebook("1")
    assert operator(sales, wait_for_completion=False).execute(context) is None
    assert started(emulator, sales) == 1
    wait_until(lambda: emulator.log()["interactive"]["finished"].get(sales.id))


@pytest.mark.parametrize(
    "options",
    [{"parameters": {"x": 1}}, {"update_report": "STATIC"}, {"stop_session_after": True}, {"when_busy": "fail"}],
)
def test_what_needs_waiting_is_refused_without_it(
    emulator: EmulatorProcess, notebook: Written, context: Context, options: dict[str, Any]
) -> None:
    sales = notebook("1")
    with pytest.raises(DataloreConfigurationError, match=wrapped(f"{next(iter(options))}.*wait_for_completion=True")):
        operator(sales, wait_for_completion=False, **options).execute(context)
    assert started(emulator, sales) == 0


@pytest.mark.parametrize(
    "options",
    [{"when_busy": "queue"}, {"update_report": "on success"}, {"start_timeout": "soon"}, {"poll_interval": 0}],
)
def test_an_option_that_cannot_be_is_refused_before_anything_runs(
    emulator: EmulatorProcess, notebook: Written, context: Context, options: dict[str, Any]
) -> None:
    sales = notebook("1")
    with pytest.raises(DataloreConfigurationError):
        operator(sales, **options).execute(context)
    assert started(emulator, sales) == 0


class TestParameters:
    def test_they_are_set_in_the_notebook_before_it_runs(self, play: Play, notebook: Written, context: Context) -> None:
        sales = notebook(
            control("SLIDER", "share", value="0.5", min="0", max="1", step="0.01"),
            control("CHECKBOX", "draft", value=True),
            "print(share, draft)",
        )
        play(operator(sales, parameters={"share": 0.25, "draft": False}), context)
        assert sales.outcome(2)["stdout"] == "0.25 False\n"
        assert sales.cells()[0]["data"]["control"]["value"] == "0.25"

    def test_none_leaves_a_control_as_it_is(self, play: Play, notebook: Written, context: Context) -> None:
        sales = notebook(control("TEXT_INPUT", "name", value="Ann"), "print(name)")
        play(operator(sales, parameters={"name": None}), context)
        assert sales.outcome(1)["stdout"] == "Ann\n"

    @pytest.mark.parametrize(
        ("parameters", "words"),
        [
            ({"name": "Bob", "shara": 1}, r"no control with variable 'shara'.*'share' \(SLIDER from 0 to 1\), 'name'"),
            ({"name": "Bob", "share": 2}, "Parameter 'share' is '2'.*a number from 0 to 1"),
            ({"name": "Bob", "share": "much"}, "a number from 0 to 1"),
        ],
    )
    def test_one_that_cannot_be_set_fails_the_task_before_anything_is_changed(
        self,
        play: Play,
        emulator: EmulatorProcess,
        notebook: Written,
        context: Context,
        parameters: dict[str, Any],
        words: str,
    ) -> None:
        sales = notebook(
            control("SLIDER", "share", value="0.5", min="0", max="1", step="0.01"),
            control("TEXT_INPUT", "name", value="Ann"),
        )
        before = sales.json("cells")
        with pytest.raises(DataloreConfigurationError, match=wrapped(words)):
            play(operator(sales, parameters=parameters), context)
        assert sales.json("cells") == before
        assert started(emulator, sales) == 0


class TestReports:
    def test_a_report_is_updated_when_the_run_went_well(
        self, play: Play, client: Client, notebook: Written, context: Context
    ) -> None:
        sales = notebook("runs = globals().get('runs', 0) + 1; print(f'run number {runs}')")
        sales.run_to_end()
        sales.json("report/publish", type="STATIC", mode="CREATE")
        play(operator(sales, update_report="STATIC"), context)
        assert "run number 2" in client.get(f"/reports/{sales.id}").text

    def test_a_report_is_left_when_the_run_failed(
        self, play: Play, client: Client, notebook: Written, context: Context
    ) -> None:
        sales = notebook("runs = globals().get('runs', 0) + 1; print(f'run number {runs}'); assert runs == 1")
        sales.run_to_end()
        sales.json("report/publish", type="STATIC", mode="CREATE")
        with pytest.raises(DataloreInteractiveRunFailedError):
            play(operator(sales, update_report="STATIC"), context)
        assert "run number 1" in client.get(f"/reports/{sales.id}").text

    def test_a_report_that_is_not_there_fails_the_task(self, play: Play, notebook: Written, context: Context) -> None:
        with pytest.raises(Exception, match=wrapped("has no STATIC report.*publish the STATIC report")):
            play(operator(notebook("1"), update_report="STATIC"), context)


def test_the_token_is_nowhere_in_what_is_logged_or_kept(
    play: Play, notebook: Written, context: Context, task_instance: TaskInstance, logged: Callable[[], str]
) -> None:
    with pytest.raises(DataloreInteractiveRunFailedError) as failed:
        play(operator(notebook("1 / 0")), context)
    assert TOKEN not in in_one(failed.value) + repr(failed.value.failure) + logged() + str(task_instance.xcoms)
