"""XComs that Airflow's UI reads from the database, with and without an XCom backend."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.compat import sdk

from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from airflow_provider_datalore.tasks.pushing import push_for_tab, push_link
from tests.tasks.conftest import Context, Datalore, TaskInstance

pytestmark = pytest.mark.skipif(not hasattr(sdk.XCom, "_set_xcom_in_db"), reason="only Airflow 3 stores links itself")


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch, task_instance: TaskInstance) -> dict[str, Any]:
    """What is stored past an XCom backend."""
    values: dict[str, Any] = {}

    class Backend:
        @staticmethod
        def _set_xcom_in_db(*, key: str, value: Any, **of: Any) -> None:
            assert of == {"dag_id": "d", "task_id": "run_notebook", "run_id": "r", "map_index": -1}
            values[key] = value

    for name, value in {"dag_id": "d", "run_id": "r"}.items():
        monkeypatch.setattr(task_instance, name, value, raising=False)
    monkeypatch.setattr(sdk, "XCom", Backend)
    return values


def test_without_a_backend_they_are_ordinary_xcoms(context: Context, task_instance: TaskInstance) -> None:
    push_link(context, "notebook_url", "https://x")
    push_for_tab(context, "run_id", "007")
    assert task_instance.xcoms == {"notebook_url": "https://x", "run_id": "007"}


def test_with_a_backend_links_are_stored_as_they_are(
    context: Context, task_instance: TaskInstance, stored: dict[str, Any]
) -> None:
    push_link(context, "notebook_url", "https://x")
    assert (task_instance.xcoms, stored) == ({}, {"notebook_url": "https://x"})


def test_with_a_backend_the_tab_has_its_own_json(
    context: Context, task_instance: TaskInstance, stored: dict[str, Any]
) -> None:
    push_for_tab(context, "run_id", "007")
    assert task_instance.xcoms == {"run_id": "007"}
    assert stored == {"datalore_tab_run_id": '"007"'}


def test_a_task_stores_all_that_the_tab_and_the_links_need(
    context: Context, task_instance: TaskInstance, datalore: Datalore, stored: dict[str, Any]
) -> None:
    datalore.route("POST", "/api/run/v1/notebook", json={"runId": "run-1"})
    datalore.finishes()
    DataloreRunNotebookOperator(task_id="run_notebook", notebook_id="ann/sales").execute(context)
    assert stored["notebook_url"] == f"{datalore.url}/notebook/ann/sales"
    assert stored["executed_notebook_url"].endswith("sales.ipynb")
    assert json.loads(stored["datalore_tab_run_id"]) == "run-1"
    assert json.loads(stored["datalore_tab_run"]) == task_instance.xcoms["run"]
