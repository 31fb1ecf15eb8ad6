"""The task as the tab reads it: users who may edit XComs, but not the DAG, gain no access."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import airflow
import pytest
from sqlalchemy import create_engine, insert
from sqlalchemy.orm import Session

from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from airflow_provider_datalore.plugin import tasks
from airflow_provider_datalore.plugin.runs import TabClient
from airflow_provider_datalore.plugin.tasks import NotebookTask, TaskKey
from airflow_provider_datalore.plugin.view import TabView
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor

pytestmark = pytest.mark.skipif(
    tuple(map(int, airflow.__version__.split(".")[:2])) < (3, 1), reason="Airflow before 3.1 has no tabs"
)

VERSION = UUID(int=1)
SOME_DATE = datetime(2026, 1, 31, tzinfo=UTC)


@pytest.fixture
def session() -> Iterator[Session]:
    """Airflow's database with DAG ``d`` and its run ``r``, in which each task has ``a-run`` in XCom ``run_id``."""
    from airflow.models import import_all_models
    from airflow.models.base import Base
    from airflow.models.dagrun import DagRun

    import_all_models()
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
    with Session(engine) as opened:
        add(opened, DagRun, id=1, dag_id="d", run_id="r", run_type="manual", run_after=SOME_DATE, state="success")
        add_dag(opened)
        yield opened
    engine.dispose()


def add(session: Session, model: Any, **values: Any) -> None:
    session.execute(insert(model.__table__).values(values))


def add_dag(session: Session) -> None:
    """Add the DAG as its file defines it."""
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.sdk import DAG
    from airflow.serialization import serialized_objects

    with DAG("d", schedule=None, params={"notebook": "sales"}) as dag:
        DataloreRunNotebookOperator(task_id="plain", notebook_id="ann/sales")
        DataloreRunNotebookOperator(task_id="templated", notebook_id="ann/{{ params.notebook }}")
        DataloreRunNotebookOperator.partial(task_id="mapped").expand(notebook_id=["ann/sales", "ann/stock"])
        DataloreRunSensor(task_id="waits", run_id="{{ params.run }}")
    # A separate class since Airflow 3.2.
    serialization = getattr(serialized_objects, "DagSerialization", serialized_objects.SerializedDAG)
    add(
        session,
        SerializedDagModel,
        id=UUID(int=2),
        dag_id="d",
        data=serialization.to_dict(dag),
        dag_hash="hash",
        dag_version_id=VERSION,
    )


def finished_task(session: Session, task_id: str, **rendered: Any) -> NotebookTask:
    """A finished task, with rendered fields if there are any."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel

    key = {"dag_id": "d", "run_id": "r", "task_id": task_id, "map_index": 0 if task_id == "mapped" else -1}
    unneeded = {"max_tries": 0, "pool": "default_pool", "span_status": "ended"}
    add(session, TaskInstance, **key, id=UUID(int=3), state="success", dag_version_id=VERSION, **unneeded)
    add(session, XComModel, **key, key="run_id", value="a-run", dag_run_id=1, timestamp=SOME_DATE)
    if rendered:
        add(session, RenderedTaskInstanceFields, **key, rendered_fields=rendered)
    found = tasks.find(TaskKey(**key), session)
    assert found is not None
    return found


CONNECTION = {"datalore_conn_id": "datalore_default"}


def stored(value: Any) -> Any:
    """A rendered field as Airflow stores it."""
    from airflow.serialization.helpers import serialize_template_field

    return serialize_template_field(value, "parameters")


def tab_of(task: NotebookTask) -> str:
    """The tab of a task, as text."""
    from airflow_provider_datalore.plugin.app import templates

    view = TabView("running", "Running", task)
    return templates.get_template("tab.html").render(view=view, static="static", here="-1")


@pytest.mark.parametrize("parameters", [{"ids": "x" * 5000}, {f"n{i}": i for i in range(1000)}, {"ids": ["ä" * 5000]}])
def test_parameters_that_are_too_long_for_airflow_are_said_to_be(session: Session, parameters: dict[str, Any]) -> None:
    kept = stored(parameters)
    assert isinstance(kept, str)
    found = finished_task(session, "plain", notebook_id="ann/sales", parameters=kept, **CONNECTION)
    assert found.parameters == {}
    assert "The parameters are too long for Airflow to keep" in tab_of(found)


def test_parameters_of_a_usual_length_are_shown_without_a_note(session: Session) -> None:
    kept = stored({"region": "north"})
    page = tab_of(finished_task(session, "plain", notebook_id="ann/sales", parameters=kept, **CONNECTION))
    assert "north" in page
    assert "too long" not in page


@pytest.mark.parametrize("name", ["notebook_id", "datalore_conn_id"])
def test_a_name_that_was_cut_is_not_used(session: Session, name: str) -> None:
    fields = {"notebook_id": "ann/sales", **CONNECTION, name: stored("ann/" + "x" * 5000)}
    found = finished_task(session, "plain", **fields)
    assert (found.notebook_id if name == "notebook_id" else found.conn_id) is None


@pytest.mark.parametrize("task_id", ["plain", "templated", "mapped"])
def test_the_run_in_xcom_is_used_if_the_notebook_is_known(session: Session, task_id: str) -> None:
    found = finished_task(session, task_id, notebook_id="ann/sales", **CONNECTION)
    assert (found.conn_id, found.notebook_id, found.run_id) == ("datalore_default", "ann/sales", "a-run")


def test_a_notebook_id_without_templates_is_known_without_rendered_fields(session: Session) -> None:
    found = finished_task(session, "plain")
    assert (found.conn_id, found.notebook_id, found.run_id) == ("datalore_default", "ann/sales", "a-run")


@pytest.mark.parametrize("task_id", ["templated", "mapped", "waits"])
def test_the_run_in_xcom_is_not_used_if_it_cannot_be_verified(session: Session, task_id: str) -> None:
    found = finished_task(session, task_id)
    assert (found.conn_id, found.notebook_id, found.run_id) == ("datalore_default", None, None)


def test_a_sensor_has_the_run_id_of_its_rendered_fields(session: Session) -> None:
    assert finished_task(session, "waits", run_id="its-own", **CONNECTION).run_id == "its-own"


def test_the_tab_explains_why_such_a_run_is_not_shown(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "datalore", "password": "a-valid-token"}
    monkeypatch.setenv("AIRFLOW_CONN_DATALORE_DEFAULT", json.dumps(connection))
    view = TabView.of(finished_task(session, "templated"))
    assert (view.state, view.has_notebook) == ("none", False)
    assert "no longer has the rendered fields" in view.problem


@pytest.mark.parametrize(
    ("has_teams", "host"), [("True", "https://of-the-team.example"), ("False", "https://of-all.example")]
)
def test_the_connection_is_that_of_the_dag_s_team(
    session: Session, monkeypatch: pytest.MonkeyPatch, has_teams: str, host: str
) -> None:
    from airflow.models.dag import DagModel

    if not hasattr(DagModel, "get_team_name"):
        pytest.skip("Airflow before 3.2 has no teams")
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.team import Team, dag_bundle_team_association_table

    add(session, Team, name="sales")
    add(session, DagBundleModel, name="bundle")
    session.execute(insert(dag_bundle_team_association_table).values(dag_bundle_name="bundle", team_name="sales"))
    unneeded = {"max_active_tasks": 1, "max_consecutive_failed_dag_runs": 0, "has_task_concurrency_limits": False}
    add(session, DagModel, dag_id="d", bundle_name="bundle", **unneeded)
    for name, its_host in (("", "https://of-all.example"), ("_SALES___", "https://of-the-team.example")):
        connection = {"conn_type": "datalore", "host": its_host, "password": "a-valid-token"}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}DATALORE_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", has_teams)
    found = finished_task(session, "plain")
    assert TabClient(found.conn_id or "", found.team).connection.base_url == host
