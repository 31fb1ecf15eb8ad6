"""What a task stored that was deferred by the version before the redesign, and resumes with this one.

``make rehearse-release`` does the same with a whole Airflow and both versions of the package.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_datalore.exceptions import DataloreError
from airflow_provider_datalore.triggers import event
from airflow_provider_datalore.triggers.datalore import DataloreRunTrigger
from airflow_provider_datalore.triggers.interactive import DataloreInteractiveRunTrigger
from tests.emulator.emulator_client import gate, gate_pid
from tests.emulator.notebook_client import Notebook
from tests.interactive.conftest import Context, deferral, operator, sent_by, trigger_of

FORMER_RUN_TRIGGER = {
    "run_id": "r1",
    "datalore_conn_id": "datalore_default",
    "poll_interval": 30.0,
    "max_outage": 1800.0,
    "deadline": None,
    "since": 1.0,
    "not_before": 2.0,
    "notebook_url": "https://datalore.example.com/notebook/me/n",
}
FORMER_INTERACTIVE_TRIGGER = {
    **{name: value for name, value in FORMER_RUN_TRIGGER.items() if name != "run_id"},
    "notebook_id": "me/n",
    "snapshot": '{"notebook":["me","n"],"before":{"c1":[3,null,null]},"required":["c1"],"highest":3,"controls":{}}',
    "start_timeout": 300.0,
    "interrupt_on_kill": True,
    "stop_session_after": False,
}


@pytest.mark.parametrize(
    ("trigger", "stored"),
    [(DataloreRunTrigger, FORMER_RUN_TRIGGER), (DataloreInteractiveRunTrigger, FORMER_INTERACTIVE_TRIGGER)],
)
def test_a_trigger_takes_the_arguments_that_were_stored(trigger: Callable[..., Any], stored: dict[str, Any]) -> None:
    path, arguments = trigger(**stored).serialize()
    assert path == f"{trigger.__module__}.{trigger.__name__}"
    assert {name: arguments[name] for name in stored} == stored


def test_a_task_that_waited_for_an_idle_notebook_runs_it(notebook: Callable[..., Notebook], context: Context) -> None:
    sales = notebook("1")
    task = operator(sales, deferrable=False, timeout=60)
    run = task.resume_execution("execute_turn", {"event": {"version": 1, "free": True}, "deadline": None}, context)
    assert run["success"] is True


def test_a_task_that_waited_for_a_run_delivers_it(
    notebook: Callable[..., Notebook], context: Context, tmp_path: Path
) -> None:
    sales = notebook(gate(tmp_path / "go"))
    task = operator(sales, deferrable=True, timeout=60)
    waits = deferral(task, context)
    gate_pid(tmp_path / "go")
    (tmp_path / "go").touch()
    sent = asyncio.run(sent_by(trigger_of(waits)))
    run = task.resume_execution("execute_complete", {"event": sent, "deadline": None, "recalled": False}, context)
    assert run["success"] is True


@pytest.mark.parametrize("stored", [{"version": 1, "free": False}, {"version": 1, "free": "yes"}, {"free": True}])
def test_another_event_is_not_taken_for_an_idle_notebook(stored: dict[str, Any]) -> None:
    with pytest.raises(DataloreError, match="does not know"):
        event.read_idle(stored)
