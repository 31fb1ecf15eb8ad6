"""What a task of one's own does with a notebook by the hook: its kernel, its session, its controls, its reports."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from airflow_provider_datalore.exceptions import (
    DataloreBadRequestError,
    DataloreConfigurationError,
    DataloreConflictError,
    DataloreUnavailableError,
)
from airflow_provider_datalore.hooks.datalore import DataloreHook
from tests.emulator.emulator_client import wait_until
from tests.emulator.notebook_client import Notebook, control
from tests.lines import wrapped

Written = Callable[..., Notebook]


def test_a_kernel_is_looked_at_interrupted_and_restarted_and_its_session_stopped(notebook: Written) -> None:
    sales = DataloreHook().notebook(notebook("import time; time.sleep(600)").id)
    with pytest.raises(DataloreConflictError):
        sales.interrupt()
    assert not sales.kernel().is_busy
    sales.hook.run_notebook_interactively(sales.id)
    wait_until(lambda: sales.kernel().running_cell_id)
    assert sales.interrupt()
    wait_until(lambda: not sales.kernel().is_busy)
    assert not sales.interrupt()
    assert sales.restart()
    sales.stop_session()
    with pytest.raises(DataloreConflictError):
        sales.restart()


def test_parameters_are_set_all_or_none(notebook: Written) -> None:
    written = notebook(control("TEXT_INPUT", "name", value="Ann"), control("CHECKBOX", "draft", value=True))
    sales = DataloreHook().notebook(written.id)
    with pytest.raises(DataloreConfigurationError, match="'nane'"):
        sales.set_parameters({"draft": False, "nane": "Bob"})
    assert [cell["data"]["control"]["value"] for cell in written.cells()] == ["Ann", True]
    assert len(sales.set_parameters({"draft": False, "name": None})) == 1
    assert [cell["data"]["control"]["value"] for cell in written.cells()] == ["Ann", False]


def test_a_report_is_published_once_and_then_updated(notebook: Written) -> None:
    sales = DataloreHook().notebook(notebook("1").id)
    with pytest.raises(DataloreBadRequestError, match=wrapped("publish it in Datalore once")):
        sales.publish_report("STATIC")
    sales.publish_report("STATIC", "CREATE")
    sales.publish_report("STATIC")


def test_what_may_not_happen_twice_is_not_repeated_where_it_may_have_happened(
    emulator: EmulatorProcess, notebook: Written
) -> None:
    sales = DataloreHook().notebook(notebook("1").id, max_outage=30)
    publish = "/api/notebook/v1/report/publish"
    emulator.set_faults([{"kind": "drop", "path": publish, "times": 1, "when": "after"}])
    with pytest.raises(DataloreUnavailableError):
        sales.publish_report("STATIC", "CREATE")
    emulator.set_faults([{"kind": "status", "status": 503, "path": publish, "times": 1}])
    sales.publish_report("INTERACTIVE", "CREATE")
