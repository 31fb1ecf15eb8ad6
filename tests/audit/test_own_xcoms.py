"""A task that resumes, and its links, read XComs that users may have edited: never with Airflow's decoder."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import pytest
from airflow.providers.common.compat import sdk

from airflow_provider_datalore.exceptions import DataloreError
from airflow_provider_datalore.links.datalore import DataloreExecutedNotebookLink, DataloreNotebookLink
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from airflow_provider_datalore.operators.interactive import DataloreInteractiveRunOperator
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor
from tests.tasks.conftest import (
    Datalore,
    TaskInstance,
    TaskStateStore,
    context,
    datalore,
    quick,
    store,
    task_instance,
)

__all__ = ["context", "datalore", "quick", "store", "task_instance"]
pytestmark = [
    pytest.mark.audit,
    pytest.mark.skipif(not hasattr(sdk.XCom, "_set_xcom_in_db"), reason="on Airflow 2, nobody but tasks writes XComs"),
]

OBJECT = {"__classname__": "airflow.sdk.io.path.ObjectStoragePath", "__version__": 1, "__data__": {"path": "file:///"}}
EDITED = [OBJECT, json.dumps(OBJECT), [OBJECT], {"a": OBJECT}, 5, None]
TIMEOUT = {"error": "Trigger timeout"}


@pytest.fixture(autouse=True)
def undecoded(monkeypatch: pytest.MonkeyPatch, task_instance: TaskInstance) -> None:
    """Airflow's decoder fails the test; ``xcom_pull`` uses it, as a real task does."""

    def decode(result: Any) -> NoReturn:
        pytest.fail(f"Airflow's decoder was called for {result}")

    def pull(task_ids: str, key: str, map_indexes: int) -> Any:
        where = {"dag_id": task_instance.dag_id, "run_id": task_instance.run_id, "map_index": map_indexes}
        return sdk.XCom.get_one(key=key, task_id=task_ids, **where)

    monkeypatch.setattr(sdk.XCom, "deserialize_value", staticmethod(decode))
    monkeypatch.setattr(task_instance, "xcom_pull", pull)


@pytest.mark.parametrize("edited", EDITED, ids=str)
@pytest.mark.parametrize("make", [DataloreRunNotebookOperator, DataloreInteractiveRunOperator], ids=["run", "in place"])
def test_a_task_whose_trigger_was_lost_builds_no_object(
    context: Any, task_instance: TaskInstance, datalore: Datalore, make: Any, edited: Any
) -> None:
    task = make(task_id="run_notebook", notebook_id="ann/sales")
    task_instance.xcoms |= dict.fromkeys(("run_id", "notebook_url", "interactive_run", "parameters"), edited)
    datalore.route("POST", "/api/notebook/v1/kernel/status", json={"state": "READY", "runningCellId": None})
    with pytest.raises(DataloreError):
        task.resume_execution("__fail__", TIMEOUT, context)


@pytest.mark.parametrize("edited", EDITED, ids=str)
def test_neither_does_a_sensor(context: Any, task_instance: TaskInstance, datalore: Datalore, edited: Any) -> None:
    task_instance.xcoms["notebook_url"] = edited
    datalore.finishes()
    task = DataloreRunSensor(task_id="run_notebook", run_id="run-1")
    assert task.resume_execution("__fail__", TIMEOUT, context)["run_id"] == "run-1"


def test_what_the_task_pushed_itself_is_read(context: Any, task_instance: TaskInstance, datalore: Datalore) -> None:
    task_instance.xcoms |= {"run_id": "run-1", "notebook_url": f"{datalore.url}/notebook/ann/sales"}
    datalore.finishes()
    task = DataloreRunNotebookOperator(task_id="run_notebook", notebook_id="ann/sales")
    assert task.resume_execution("__fail__", TIMEOUT, context) == "run-1"


@pytest.mark.parametrize("notebook", ["ann/salaries", "salaries", "bob/sales"])
def test_the_run_of_another_notebook_is_not_used(
    context: Any, task_instance: TaskInstance, datalore: Datalore, notebook: str
) -> None:
    task_instance.xcoms["run_id"] = "foreign"
    datalore.finishes("foreign", notebookId=notebook)
    task = DataloreRunNotebookOperator(task_id="run_notebook", notebook_id="ann/sales", outputs=["total"])
    with pytest.raises(DataloreError, match=f"is a run of notebook {notebook}, but the task runs ann/sales"):
        task.resume_execution("__fail__", TIMEOUT, context)
    assert "outputs" not in task_instance.xcoms


def test_neither_is_one_that_was_put_into_the_task_state_store(
    context: Any, store: TaskStateStore, datalore: Datalore
) -> None:
    datalore.route("POST", "/api/run/v1/notebook", json={"runId": "own"})
    datalore.finishes("foreign", notebookId="ann/salaries").finishes("own")
    store.set("datalore_run", {"notebook_id": "ann/sales", "run_id": "foreign", "max_tries": 1})
    task = DataloreRunNotebookOperator(task_id="run_notebook", notebook_id="ann/sales")
    assert task.execute(context) == "own"


@pytest.mark.parametrize("edited", EDITED, ids=str)
@pytest.mark.parametrize("link", [DataloreNotebookLink(), DataloreExecutedNotebookLink()], ids=lambda link: link.name)
def test_a_link_is_text_or_nothing(task_instance: TaskInstance, link: Any, edited: Any) -> None:
    task_instance.xcoms[link.key] = edited
    address = link.get_link(None, ti_key=task_instance)
    assert address == (edited if isinstance(edited, str) else "")


def test_with_a_backend_the_copy_in_the_database_is_read(
    monkeypatch: pytest.MonkeyPatch, context: Any, task_instance: TaskInstance
) -> None:
    from airflow_provider_datalore.tasks import own_xcoms

    class Backend:
        """Its module is another than Airflow's."""

        _set_xcom_in_db = None

    monkeypatch.setattr(sdk, "XCom", Backend)
    task_instance.xcoms |= {"run_id": "s3://bucket/1", "datalore_tab_run_id": '"007"', "notebook_url": "https://x"}
    assert own_xcoms.own_text(context, "run_id") == "007"
    assert own_xcoms.own_text(context, "notebook_url") == "https://x"
    for broken in ("{", 5, None, json.dumps(OBJECT)):
        task_instance.xcoms["datalore_tab_run_id"] = broken
        assert own_xcoms.own_text(context, "run_id") == ""
