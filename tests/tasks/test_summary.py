"""What a callback or a notifier tells people about a run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout

from airflow_provider_datalore import xcom
from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.exceptions import DataloreRunFailedError, DataloreUnauthorizedError, RunState
from airflow_provider_datalore.notebooks.changes import CellChange, Changes
from airflow_provider_datalore.notebooks.failure import CellFailure
from airflow_provider_datalore.summary import MAX_BLOCK_CHARS, MAX_BLOCKS, Summary, summarize
from airflow_provider_datalore.transport.connection import mask_token
from tests.tasks.conftest import TOKEN, Context, TaskInstance

URL = "https://datalore.example.com/notebook/ann/sales"
RUN = {
    **Run(
        run_id="run-1",
        notebook_id="ann/sales",
        start_time=datetime(2026, 1, 31, 8, 0, tzinfo=UTC),
        end_time=datetime(2026, 1, 31, 8, 5, tzinfo=UTC),
        success=True,
    ).to_json(),
    "history": {"durations": [60.0, 90.0, 120.0]},
}
FAILURE = CellFailure("cell 4 (In[3]), starting with 'load()'", 4, "load()", "KeyError", "'a <b> & c'", "", "")


@pytest.fixture
def finished(context: Context, task_instance: TaskInstance) -> Context:
    task_instance.xcoms = {xcom.RUN: RUN, xcom.RUN_ID: "run-1", xcom.NOTEBOOK_URL: URL}
    task_instance.log_url = "https://airflow.example.com/log"  # type: ignore[attr-defined]
    return {**context, "task": SimpleNamespace(notebook_id="ann/sales")}


def failed(**fields: Any) -> DataloreRunFailedError:
    return DataloreRunFailedError(
        "Notebook ann/sales failed in cell 4: KeyError",
        failure=FAILURE,
        notebook_url=URL,
        state=RunState.FAILED,
        to_do="Correct the notebook.",
        **fields,
    )


def test_a_success_has_the_notebook_the_duration_and_the_values(finished: Context, task_instance: TaskInstance) -> None:
    task_instance.xcoms[xcom.OUTPUTS] = {"revenue": 12.5, "top": ["a", "b"], "note": "fine"}
    summary = summarize(finished)
    assert (summary.state, summary.title) == ("succeeded", "d.run_notebook succeeded")
    lines = summary.text.splitlines()
    assert lines[:4] == ["d.run_notebook succeeded", "Notebook: ann/sales", f"    {URL}", "Run: run-1"]
    assert "Duration: 5 min 00 s (usually 1 min 30 s)" in lines
    assert {"revenue: 12.5", 'top: ["a", "b"]', "note: fine"} <= set(lines)
    assert lines[-1] == "    https://airflow.example.com/log"


def test_a_failure_has_the_cell_the_error_the_changes_and_what_to_do(finished: Context) -> None:
    changes = Changes((CellChange(4, edited=True, lines=("- a", "+ b")),), run_id="run-0")
    summary = summarize({**finished, "exception": failed(changes=changes)})
    assert summary.state is RunState.FAILED
    assert summary.title == "d.run_notebook failed: Notebook ann/sales failed in cell 4: KeyError"
    assert "Failed in: cell 4 (In[3]), starting with 'load()'" in summary.text
    assert "Error: KeyError: 'a <b> & c'" in summary.text
    assert str(changes) in summary.text
    assert "To do: Correct the notebook." in summary.text


def test_the_state_of_a_notebook_that_may_be_running_is_told(finished: Context) -> None:
    error = DataloreUnauthorizedError("Refused (401).", status=401, url=URL, state=RunState.MAY_BE_RUNNING)
    summary = summarize({**finished, "exception": error})
    assert summary.state == "may be running"
    assert "State: the notebook may be running." in summary.text


def test_the_error_of_this_package_is_found_behind_airflows(finished: Context) -> None:
    timeout = AirflowSensorTimeout("x")
    timeout.__cause__ = failed()
    assert summarize({**finished, "exception": timeout}).state is RunState.FAILED


@pytest.mark.parametrize("exception", [KeyError("x"), "a text", RuntimeError()])
def test_an_error_of_another_kind_is_told_with_what_the_task_left(
    finished: Context, task_instance: TaskInstance, exception: Any
) -> None:
    task_instance.xcoms[xcom.ERROR] = {"summary": "It was killed.", "state": "running", "to_do": "Look.", "x": 1}
    summary = summarize({**finished, "exception": exception})
    assert (summary.state, summary.title) == ("running", "d.run_notebook failed: It was killed.")
    assert "To do: Look." in summary.text


@pytest.mark.parametrize("context", [{}, {"ti": None}, {"ti": object(), "exception": ValueError("x")}])
def test_it_never_fails(context: dict[str, Any]) -> None:
    assert summarize(context).text


@pytest.mark.parametrize("run", [None, 5, {}, {"run_id": 5}, {"run_id": "r", "start_time": "never", "history": 7}])
def test_an_edited_xcom_fails_nothing(finished: Context, task_instance: TaskInstance, run: Any) -> None:
    task_instance.xcoms[xcom.RUN] = run
    assert summarize(finished).title == "d.run_notebook succeeded"


def test_what_a_notebook_wrote_is_escaped(finished: Context, task_instance: TaskInstance) -> None:
    task_instance.xcoms[xcom.OUTPUTS] = {"<!channel>": "<script>alert(1)</script> & <http://evil|click>"}
    summary = summarize({**finished, "exception": failed()})
    slack = json.dumps(summary.slack_blocks)
    assert "<!channel>" not in slack
    assert "<script>" not in slack
    assert "<http://evil" not in slack
    assert "&lt;http://evil|click&gt;" in slack
    assert "<script>" not in summary.html
    assert "<b>" not in summary.html
    assert f'<a href="{URL}">ann/sales</a>' in summary.html


def test_an_address_that_is_not_one_is_no_link(finished: Context, task_instance: TaskInstance) -> None:
    task_instance.xcoms[xcom.NOTEBOOK_URL] = "javascript:alert(1)"
    assert "javascript" not in summarize(finished).html


def assert_fits_slack(summary: Summary) -> None:
    blocks = summary.slack_blocks
    assert len(blocks) <= MAX_BLOCKS
    for block in blocks:
        assert 0 < len(block["text"]["text"]) <= MAX_BLOCK_CHARS


def test_it_fits_slacks_limits(finished: Context, task_instance: TaskInstance) -> None:
    task_instance.xcoms[xcom.OUTPUTS] = {f"<{number}>" * 50: "&<>" * 5000 for number in range(200)}
    lines = tuple(f"+ {'<' * 150}" for _ in range(100))
    changes = Changes(tuple(CellChange(number, edited=True, lines=lines) for number in range(100)), run_id="&" * 9999)
    summary = summarize({**finished, "exception": failed(changes=changes)})
    assert_fits_slack(summary)
    assert len(summary.text) < 100_000


def test_a_block_of_code_cannot_be_left(finished: Context) -> None:
    changes = Changes((CellChange(1, edited=True, lines=("+ ``` <!here>",)),), run_id="run-0")
    (block,) = [
        block["text"]["text"]
        for block in summarize({**finished, "exception": failed(changes=changes)}).slack_blocks
        if "What changed" in block["text"]["text"]
    ]
    assert block.count("```") == 2
    assert "<!here>" not in block


def test_secrets_are_masked(finished: Context, task_instance: TaskInstance) -> None:
    mask_token(TOKEN)
    task_instance.xcoms[xcom.OUTPUTS] = {"token": TOKEN}
    summary = summarize({**finished, "exception": failed()})
    assert TOKEN not in summary.text + summary.html + json.dumps(summary.slack_blocks)
