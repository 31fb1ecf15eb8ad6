"""The task as the tab reads it: users who may edit XComs, but not the DAG, gain no access."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import airflow
import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, configure_mappers

from airflow_provider_datalore.operators.datalore import (
    DataloreInteractiveRunOperator,
    DataloreRunNotebookOperator,
    DataloreUploadFileOperator,
)
from airflow_provider_datalore.plugin import tasks
from airflow_provider_datalore.plugin.runs import TabClient
from airflow_provider_datalore.plugin.task_errors import TaskError
from airflow_provider_datalore.plugin.task_key import TaskKey
from airflow_provider_datalore.plugin.tasks import NotebookTask, TaskKind
from airflow_provider_datalore.plugin.view import TabView
from airflow_provider_datalore.run_state import RunState
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor
from tests.plugin.database import add, add_earlier_try, add_to, replace_xcoms

AIRFLOW = tuple(map(int, airflow.__version__.split(".")[:2]))
pytestmark = pytest.mark.skipif(AIRFLOW < (3, 1), reason="Airflow before 3.1 has no tabs")

VERSION = UUID(int=1)
SOME_DATE = datetime(2026, 1, 31, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def session() -> Iterator[Session]:
    """Airflow's database with DAG ``d`` and its run ``r``, in which each task has ``a-run`` in XCom ``run_id``."""
    from airflow.models import import_all_models
    from airflow.models.base import Base
    from airflow.models.dagrun import DagRun

    import_all_models()
    # SQLAlchemy warns of Airflow's own models when they are first used; that is not the package's doing.
    configure_mappers()
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
    with Session(engine) as opened:
        add(opened, DagRun, id=1, dag_id="d", run_id="r", run_type="manual", run_after=SOME_DATE, state="success")
        add_dag(opened)
        yield opened
    engine.dispose()


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
        DataloreInteractiveRunOperator(task_id="in_place", notebook_id="ann/sales")
        DataloreUploadFileOperator(task_id="upload", notebook_id="ann/sales", source="/data/sales.csv")
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
    return task_with_xcoms(session, task_id, {"run_id": "a-run"}, **rendered)


def task_with_xcoms(
    session: Session, task_id: str, xcoms: dict[str, Any], state: str = "success", **rendered: Any
) -> NotebookTask:
    """A finished task with these values in the table of XComs, or one in another state."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel

    key = {"dag_id": "d", "run_id": "r", "task_id": task_id, "map_index": 0 if task_id == "mapped" else -1}
    unneeded = {"max_tries": 0, "pool": "default_pool", "span_status": "ended"}
    times = {"start_date": SOME_DATE, "end_date": SOME_DATE + HOUR}
    add(session, TaskInstance, **key, id=UUID(int=3), state=state, dag_version_id=VERSION, **times, **unneeded)
    for name, value in xcoms.items():
        add(session, XComModel, **key, key=name, value=value, dag_run_id=1, timestamp=SOME_DATE)
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


@pytest.mark.audit
class TestXComs:
    """A task's code, a notebook, and on Airflow 3.1 users who edit XComs determine what the table contains."""

    OBJECT: ClassVar[dict[str, Any]] = {"__classname__": "airflow.sdk.definitions.asset.Asset", "__version__": 1}

    @pytest.fixture(autouse=True)
    def _no_decoder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from airflow.models.xcom import XComModel

        def refuse(*_: Any) -> None:
            pytest.fail("Airflow's decoder was used")

        monkeypatch.setattr(XComModel, "deserialize_value", refuse)

    @pytest.mark.parametrize("value", ["123", '"123"', "0", "1e5", "true", "null", "[1]"])
    def test_an_id_stays_text(self, session: Session, value: str) -> None:
        expected = value.strip('"')
        assert task_with_xcoms(session, "plain", {"run_id": value}).run_id == expected

    @pytest.mark.parametrize("value", [OBJECT, json.dumps(OBJECT), [OBJECT], 5, None, True, [], "x" * 2_000_000, ""])
    def test_what_is_not_an_id_is_not_used(self, session: Session, value: Any) -> None:
        found = task_with_xcoms(session, "plain", {"run_id": value, "run": value})
        assert found.run_id is None
        assert TabView.of(found).run is None

    def test_objects_stay_mappings(self, session: Session) -> None:
        xcoms = {"run_id": "r", "parameters": {"a": self.OBJECT}, "run": json.dumps({"run_id": "r", **self.OBJECT})}
        found = task_with_xcoms(session, "plain", xcoms)
        assert found.parameters == {"a": self.OBJECT}
        assert found.reported_run == {"run_id": "r", **self.OBJECT}

    def test_nested_lists_do_no_harm(self, session: Session) -> None:
        assert task_with_xcoms(session, "plain", {"run_id": "r", "run": "[" * 100_000}).reported_run is None

    @pytest.mark.parametrize("text", ["[" * 100_000 + "]" * 100_000, "7" * 5000, "{", ""], ids=lambda text: text[:2])
    def test_neither_does_json_that_python_cannot_read(self, session: Session, text: str) -> None:
        task_with_xcoms(session, "plain", {"run_id": "r", "run": {}})
        replace_xcoms(session, text)
        found = tasks.find(TaskKey("d", "r", "plain", -1), session)
        assert found is not None
        assert (found.run_id, found.reported_run) == (None, None)

    def test_with_a_backend_the_tab_s_own_values_are_read(self, session: Session) -> None:
        paths = {name: f"file:///xcoms/{name}" for name in ("run_id", "run", "parameters")}
        own = {"run_id": "007", "run": {"run_id": "007", "success": True}, "parameters": {"n": 1}}
        xcoms = {**paths, **{f"datalore_tab_{name}": json.dumps(value) for name, value in own.items()}}
        found = task_with_xcoms(session, "plain", xcoms)
        assert (found.run_id, found.reported_run, found.parameters) == tuple(own.values())


class TestMaskedFields:
    def test_a_masked_notebook_is_read_from_the_dag(self, session: Session) -> None:
        found = finished_task(session, "plain", notebook_id="ann/***", datalore_conn_id="***_default")
        assert (found.conn_id, found.notebook_id, found.run_id) == ("datalore_default", "ann/sales", "a-run")
        assert not found.is_masked

    def test_otherwise_it_is_not_known(self, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        connection = {"conn_type": "datalore", "password": "a-valid-token"}
        monkeypatch.setenv("AIRFLOW_CONN_DATALORE_DEFAULT", json.dumps(connection))
        found = finished_task(session, "templated", notebook_id="ann/***", **CONNECTION)
        assert (found.conn_id, found.notebook_id, found.run_id) == ("datalore_default", None, None)
        view = TabView.of(found)
        assert (view.state, view.run) == ("none", None)
        assert "Airflow masked a part of the notebook's or the run's id" in view.problem

    def test_neither_is_the_run_of_a_sensor(self, session: Session) -> None:
        found = finished_task(session, "waits", run_id="run-***", **CONNECTION)
        assert (found.run_id, found.is_masked) == (None, True)

    def test_masked_parameters_are_shown_as_they_are(self, session: Session) -> None:
        found = finished_task(session, "plain", notebook_id="ann/sales", parameters={"key": "***"}, **CONNECTION)
        assert found.parameters == {"key": "***"}


class TestOwnTime:
    def test_it_is_from_the_first_try_to_the_end(self, session: Session) -> None:
        key = {"dag_id": "d", "run_id": "r", "task_id": "plain", "map_index": -1}
        unneeded = {"max_tries": 1, "pool": "default_pool", "span_status": "ended", "dag_version_id": VERSION}
        for number, begun in enumerate([SOME_DATE - 2 * HOUR, SOME_DATE - HOUR], start=1):
            add_earlier_try(session, number, **key, start_date=begun, state="failed", **unneeded)
        found = finished_task(session, "plain")
        assert (found.first_start, found.end_date) == (SOME_DATE - 2 * HOUR, SOME_DATE + HOUR)

    def test_a_sensor_waits_for_a_run_that_began_before(self, session: Session) -> None:
        assert finished_task(session, "waits", run_id="its-own", **CONNECTION).first_start is None


class TestErrors:
    STORED: ClassVar[dict[str, Any]] = {"summary": "It failed.", "state": "running", "to_do": "Wait.", "more": 1}
    READ = TaskError("It failed.", RunState.RUNNING, "Wait.")

    @pytest.mark.parametrize("stored", [STORED, json.dumps(STORED)])
    @pytest.mark.parametrize("state", ["failed", "up_for_retry", "skipped"])
    def test_the_error_of_a_failed_try_is_read(self, session: Session, stored: Any, state: str) -> None:
        assert task_with_xcoms(session, "plain", {"error": stored}, state).error == self.READ

    @pytest.mark.parametrize("state", ["running", "deferred", "success"])
    def test_that_of_an_earlier_try_is_not(self, session: Session, state: str) -> None:
        assert task_with_xcoms(session, "plain", {"error": self.STORED}, state).error is None

    def test_with_a_backend_the_tab_s_own_error_is_read(self, session: Session) -> None:
        xcoms = {"error": "s3://xcoms/error", "datalore_tab_error": json.dumps(self.STORED)}
        assert task_with_xcoms(session, "plain", xcoms, "failed").error == self.READ


class TestUsualTime:
    def earlier(self, session: Session, run_id: str, durations: object, days: int) -> None:
        """An earlier run of the task, which has left the durations of those up to it."""
        from airflow.models.dagrun import DagRun
        from airflow.models.xcom import XComModel

        of_run = {"dag_id": "d", "run_id": run_id}
        add(session, DagRun, id=10 + days, **of_run, run_type="manual", run_after=SOME_DATE, state="success")
        key = {**of_run, "task_id": "plain", "map_index": -1, "dag_run_id": 10 + days}
        value = {"run_id": "x", "history": {"durations": durations}}
        add(session, XComModel, **key, key="run", value=value, timestamp=SOME_DATE - timedelta(days=days))

    @pytest.mark.parametrize(("state", "expected"), [("deferred", 90.0), ("running", 90.0), ("success", None)])
    def test_it_is_that_of_the_last_run_while_the_task_runs(
        self, session: Session, state: str, expected: float | None
    ) -> None:
        self.earlier(session, "older", [1, 1, 1], days=2)
        self.earlier(session, "last", [60, 120, 90], days=1)
        assert task_with_xcoms(session, "plain", {}, state).usual_duration == expected

    @pytest.mark.parametrize("durations", [[60, 120], "many", None, [-1, "x", 3]])
    def test_it_is_not_known_from_fewer_than_three(self, session: Session, durations: object) -> None:
        self.earlier(session, "last", durations, days=1)
        assert task_with_xcoms(session, "plain", {}, "running").usual_duration is None

    def test_of_another_map_index_it_is_not_taken(self, session: Session) -> None:
        self.earlier(session, "last", [60, 120, 90], days=1)
        assert task_with_xcoms(session, "mapped", {}, "running").usual_duration is None


@pytest.mark.parametrize(
    ("task_id", "kind"),
    [
        ("plain", TaskKind.RUN),
        ("mapped", TaskKind.RUN),
        ("waits", TaskKind.RUN),
        ("in_place", TaskKind.INTERACTIVE),
        ("upload", TaskKind.OTHER),
    ],
)
def test_the_fields_show_what_a_task_does(session: Session, task_id: str, kind: TaskKind) -> None:
    assert finished_task(session, task_id).kind is kind


def test_so_do_the_rendered_fields(session: Session) -> None:
    fields = dict.fromkeys(DataloreInteractiveRunOperator.template_fields)
    found = finished_task(session, "in_place", **{**fields, "notebook_id": "ann/sales", **CONNECTION})
    assert (found.kind, found.notebook_id) == (TaskKind.INTERACTIVE, "ann/sales")


@pytest.mark.parametrize("encode", [lambda text: text, json.dumps])
def test_the_snapshot_of_an_interactive_run_is_read_as_text(session: Session, encode: Any) -> None:
    text = '{"notebook": ["ann", "sales"]}'
    found = task_with_xcoms(session, "in_place", {"interactive_run": encode(text)}, "deferred")
    assert found.snapshot == text


class TestTriggerers:
    @pytest.mark.parametrize(
        ("state", "age", "is_alive"), [("running", 1, True), ("running", 600, False), ("success", 1, False)]
    )
    def test_a_deferred_task_is_abandoned_unless_one_is_alive(
        self, session: Session, state: str, age: float, is_alive: bool
    ) -> None:
        from airflow.jobs.job import Job

        beat = datetime.now(UTC) - timedelta(seconds=age)
        add(session, Job, id=1, job_type="TriggererJob", state=state, latest_heartbeat=beat)
        add(session, Job, id=2, job_type="SchedulerJob", state="running", latest_heartbeat=datetime.now(UTC))
        assert task_with_xcoms(session, "plain", {"run_id": "r"}, "deferred").is_abandoned is not is_alive

    def test_no_other_task_is(self, session: Session) -> None:
        assert not task_with_xcoms(session, "plain", {"run_id": "r"}, "running").is_abandoned


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
    if AIRFLOW < (3, 2):
        pytest.skip("Airflow before 3.2 has no teams")
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.team import Team, dag_bundle_team_association_table

    add(session, Team, name="sales")
    add(session, DagBundleModel, name="bundle")
    add_to(session, dag_bundle_team_association_table, dag_bundle_name="bundle", team_name="sales")
    unneeded = {"max_active_tasks": 1, "max_consecutive_failed_dag_runs": 0, "has_task_concurrency_limits": False}
    add(session, DagModel, dag_id="d", bundle_name="bundle", **unneeded)
    for name, its_host in (("", "https://of-all.example"), ("_SALES___", "https://of-the-team.example")):
        connection = {"conn_type": "datalore", "host": its_host, "password": "a-valid-token"}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}DATALORE_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", has_teams)
    found = finished_task(session, "plain")
    assert TabClient(found.conn_id or "", found.team).connection.base_url == host
