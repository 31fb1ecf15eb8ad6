"""What a task of one's own does with a notebook by the hook: its kernel, its session, its controls, its reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from airflow_provider_datalore.exceptions import (
    DataloreBadRequestError,
    DataloreConfigurationError,
    DataloreConflictError,
    DataloreForbiddenError,
    DataloreUnavailableError,
)
from airflow_provider_datalore.hooks.datalore import DataloreHook
from tests.emulator.emulator_client import Client, wait_until
from tests.emulator.notebook_client import control
from tests.interactive.conftest import Written, connect
from tests.lines import wrapped


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


def test_a_report_is_published_with_all_that_datalore_lets_choose(
    client: Client, emulator: EmulatorProcess, notebook: Written
) -> None:
    written = notebook("1")
    sales = DataloreHook().notebook(written.id)
    sales.publish_report("STATIC", "CREATE", full_width=False, can_download_and_edit_copy=True)
    sales.publish_report("INTERACTIVE", "CREATE", computation_mode="JUPYTER")
    workspaces = client.get("/api/user_public/v1/workspaces").json()
    [own] = [each["workspace"]["id"] for each in workspaces if each["owner"]["id"] == written.owner]
    params = {"workspaceId": f"{own['ownerId']}/{own['internalId']}"}
    reports = client.get("/api/workspaces/v1/reports", params=params).json()
    chosen = {
        each["reportFormat"]: (each["fullWidth"], each["canDownloadAndEditCopy"], each["computationMode"])
        for each in reports
    }
    assert chosen == {"STATIC": (False, True, None), "INTERACTIVE": (True, False, "JUPYTER")}
    emulator.set_variant(report_layout="absent")
    with pytest.raises(DataloreBadRequestError, match="layout"):
        sales.publish_report("STATIC")


def test_a_token_whose_scope_is_too_small_says_which_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "me").mkdir()
    with EmulatorProcess(tmp_path, "--scope", "small=USER_BASIC") as process:
        connect(monkeypatch, process.url, "small")
        hook = DataloreHook()
        with pytest.raises(DataloreForbiddenError, match="scope NOTEBOOK_API"):
            hook.notebook("me/sales").look()
        with pytest.raises(DataloreForbiddenError, match="scope NOTEBOOK_API"):
            hook.run_notebook("me/sales")
        # Any scope is enough to list the workspaces.
        assert hook.test_connection()[0] is True


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
