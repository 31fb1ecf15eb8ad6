"""The page of all notebooks, from Airflow's database: whose notebooks it shows, to whom, and what of their runs."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import airflow
import pytest
import requests
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session, configure_mappers

from airflow_provider_datalore.operators.datalore import (
    DataloreInteractiveRunOperator,
    DataloreRunNotebookOperator,
    DataloreUploadFileOperator,
)
from airflow_provider_datalore.plugin import declared_tasks, earlier_runs, overview
from airflow_provider_datalore.plugin.overview import Notebook
from airflow_provider_datalore.plugin.task_key import TaskKey
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor
from tests.plugin.database import add

pytestmark = pytest.mark.skipif(
    tuple(map(int, airflow.__version__.split(".")[:2])) < (3, 1), reason="Airflow before 3.1 has no page for it"
)

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
_numbers = count(1)


class Database:
    """Airflow's database."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._versions: dict[str, UUID] = {}

    def add(self, model: Any, **values: Any) -> None:
        add(self.session, model, **values)

    def add_dag(self, dag: Any, version: int = 1, *, compressed: bool = False, is_stale: bool = False) -> None:
        """A DAG as its file defines it."""
        from airflow.models.dag import DagModel
        from airflow.models.dag_version import DagVersion
        from airflow.models.serialized_dag import SerializedDagModel
        from airflow.serialization import serialized_objects

        serialization = getattr(serialized_objects, "DagSerialization", serialized_objects.SerializedDAG)
        data = serialization.to_dict(dag)
        limits = {"max_active_tasks": 1, "max_consecutive_failed_dag_runs": 0, "has_task_concurrency_limits": False}
        if version == 1:
            self.add(DagModel, dag_id=dag.dag_id, is_stale=is_stale, bundle_name="bundle", **limits)
        self._versions[dag.dag_id] = version_id = uuid4()
        self.add(DagVersion, id=version_id, dag_id=dag.dag_id, version_number=version, bundle_name="bundle")
        stored: dict[str, Any] = {"data": data, "data_compressed": None}
        if compressed:
            stored = {"data": None, "data_compressed": zlib.compress(json.dumps(data).encode())}
        hashed = f"hash {next(_numbers)}"
        self.add(
            SerializedDagModel, id=uuid4(), dag_id=dag.dag_id, dag_hash=hashed, dag_version_id=version_id, **stored
        )

    def add_run(self, dag_id: str, number: int, *, is_dated: bool = True) -> str:
        """The run of a DAG at an hour."""
        from airflow.models.dagrun import DagRun

        run_id, due = f"run-{number:03}", BEGAN + number * HOUR
        dates = {"run_after": due, "logical_date": due if is_dated else None}
        self.add(DagRun, dag_id=dag_id, run_id=run_id, run_type="manual", state="success", **dates)
        return run_id

    def add_instance(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        state: str,
        seconds: float = 60,
        map_index: int = -1,
        **others: Any,
    ) -> TaskKey:
        """A task instance; ``rendered`` are its rendered fields, ``error`` its XCom."""
        from airflow.models.dagrun import DagRun
        from airflow.models.renderedtifields import RenderedTaskInstanceFields
        from airflow.models.taskinstance import TaskInstance
        from airflow.models.xcom import XComModel

        key = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
        started = self.session.scalar(select(DagRun.run_after).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        assert started is not None
        times = {"start_date": started, "end_date": started + timedelta(seconds=seconds)}
        needed = {"max_tries": 0, "pool": "default_pool", "span_status": "ended"}
        version = self._versions[dag_id]
        self.add(TaskInstance, **key, id=uuid4(), state=state, dag_version_id=version, **times, **needed)
        if "rendered" in others:
            self.add(RenderedTaskInstanceFields, **key, rendered_fields=others["rendered"])
        if "error" in others:
            dag_run = self.session.scalar(select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
            self.add(XComModel, **key, key="error", value=others["error"], dag_run_id=dag_run, timestamp=BEGAN)
        return TaskKey(**key)


class Reader:
    """A user who may see some DAGs, and the runs and logs of some of these."""

    def __init__(self, dags: set[str], runs: set[str] | None = None, logs: set[str] | None = None) -> None:
        self._dags = dags
        self._runs = dags if runs is None else runs
        self._logs = self._runs if logs is None else logs

    def visible_dags(self) -> set[str]:
        return self._dags

    def with_visible_runs(self, dag_ids: Any) -> set[str]:
        return self._runs & set(dag_ids)

    def with_visible_logs(self, dag_ids: Any) -> set[str]:
        return self._logs & set(dag_ids)


@pytest.fixture(autouse=True)
def nothing_is_requested(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page comes from Airflow's database alone."""

    def send(*_: object, **__: object) -> None:
        pytest.fail("the page sent a request")

    monkeypatch.setattr(requests.Session, "send", send)


@pytest.fixture
def database() -> Iterator[Database]:
    from airflow.models import import_all_models
    from airflow.models.base import Base
    from airflow.models.dagbundle import DagBundleModel

    import_all_models()
    # SQLAlchemy warns of Airflow's own models when they are first used; that is not the package's doing.
    configure_mappers()
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
    with Session(engine) as session:
        opened = Database(session)
        opened.add(DagBundleModel, name="bundle", active=True)
        yield opened
    engine.dispose()


def sales_dag(dag_id: str = "sales", notebook_id: str = "ann/sales", **options: Any) -> Any:
    from airflow.sdk import DAG

    with DAG(dag_id, schedule=None) as dag:
        DataloreRunNotebookOperator(task_id="run", notebook_id=notebook_id, **options)
    return dag


def seen(database: Database, *dag_ids: str) -> list[Notebook]:
    return overview.notebooks(Reader(set(dag_ids) or {"sales"}), database.session)  # type: ignore[arg-type]


def names(found: list[Notebook]) -> list[str]:
    return [each.notebook_id for each in found]


class TestTasks:
    def test_each_kind_of_task_that_runs_a_notebook(self, database: Database) -> None:
        from airflow.sdk import DAG, task

        class Own(DataloreRunNotebookOperator):
            pass

        with DAG("sales", schedule=None) as dag:
            Own(task_id="own", notebook_id="a/own")
            DataloreRunNotebookOperator(task_id="address", notebook_id="https://d.example/notebook/a/pasted?x=1")
            DataloreInteractiveRunOperator(task_id="in_place", notebook_id="a/in_place")
            DataloreRunNotebookOperator.partial(task_id="mapped").expand(notebook_id=["a/first", "a/second"])
            DataloreUploadFileOperator(task_id="upload", notebook_id="a/upload", source="/data/sales.csv")
            DataloreRunSensor(task_id="waits", run_id="{{ params.run }}")

            @task.datalore_notebook(notebook_id="a/decorated")
            def decorated() -> dict[str, Any]:
                return {}

            decorated()
        database.add_dag(dag)
        assert names(seen(database)) == ["a/decorated", "a/first", "a/in_place", "a/own", "a/pasted", "a/second"]

    def test_the_tasks_of_several_dags_that_run_the_same_notebook(self, database: Database) -> None:
        for dag_id in ("sales", "other"):
            database.add_dag(sales_dag(dag_id))
        [found] = seen(database, "sales", "other")
        assert found.tasks == (("other", "run"), ("sales", "run"))

    def test_one_notebook_id_on_two_connections_is_two_notebooks(self, database: Database) -> None:
        database.add_dag(sales_dag())
        database.add_dag(sales_dag("other", datalore_conn_id="another"))
        assert [each.conn_id for each in seen(database, "sales", "other")] == ["another", "datalore_default"]

    def test_only_the_latest_version_counts(self, database: Database) -> None:
        database.add_dag(sales_dag(notebook_id="a/old"))
        assert names(seen(database)) == ["a/old"]
        database.add_dag(sales_dag(notebook_id="a/new"), version=2)
        assert names(seen(database)) == ["a/new"]

    def test_a_dag_whose_file_is_gone_does_not_count(self, database: Database) -> None:
        database.add_dag(sales_dag(), is_stale=True)
        assert seen(database) == []

    def test_compressed_dags_are_read(self, database: Database) -> None:
        database.add_dag(sales_dag(), compressed=True)
        assert names(seen(database)) == ["ann/sales"]

    def test_dags_are_read_once(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        database.add_dag(sales_dag())
        seen(database)
        monkeypatch.setattr(declared_tasks, "_read", lambda *_: pytest.fail("read again"))
        assert names(seen(database)) == ["ann/sales"]

    def test_the_default_of_a_param_is_shown_until_runs_tell_the_notebook(self, database: Database) -> None:
        from airflow.sdk import DAG

        with DAG("sales", schedule=None, params={"notebook": "a/default", "days": 3}) as dag:
            DataloreRunNotebookOperator(task_id="run", notebook_id="{{ params.notebook }}")
            DataloreRunNotebookOperator(task_id="item", notebook_id="{{ params['notebook'] }}")
            DataloreRunNotebookOperator(task_id="other", notebook_id="a/{{ params.days }}")
        database.add_dag(dag)
        assert [(each.notebook_id, len(each.tasks)) for each in seen(database)] == [
            ("a/default", 2),
            ("a/{{ params.days }}", 1),
        ]

    def test_a_template_is_shown_until_runs_tell_the_notebook(self, database: Database) -> None:
        database.add_dag(sales_dag(notebook_id="{{ params.notebook }}"))
        assert names(seen(database)) == ["{{ params.notebook }}"]
        for number, notebook in enumerate(["a/north", "a/south", "a/secret-***"]):
            run_id = database.add_run("sales", number)
            rendered = {"notebook_id": notebook, "datalore_conn_id": "datalore_default"}
            database.add_instance("sales", run_id, "run", "success", rendered=rendered)
        assert names(seen(database)) == ["a/north", "a/south"]


class TestPermissions:
    def test_dags_that_the_user_may_not_see_are_not_shown(self, database: Database) -> None:
        for dag_id in ("sales", "other"):
            database.add_dag(sales_dag(dag_id, f"a/{dag_id}"))
        assert names(seen(database, "other")) == ["a/other"]

    def test_runs_and_errors_are_shown_only_to_who_may_see_them(self, database: Database) -> None:
        database.add_dag(sales_dag())
        run_id = database.add_run("sales", 1)
        database.add_instance("sales", run_id, "run", "failed", error={"summary": "KeyError"})
        sees = [
            (Reader({"sales"}, runs=set()), (0, None)),
            (Reader({"sales"}, logs=set()), (1, None)),
            (Reader({"sales"}), (1, "KeyError")),
        ]
        for reader, shown in sees:
            [found] = overview.notebooks(reader, database.session)  # type: ignore[arg-type]
            assert (len(found.runs), found.error.summary if found.error else None) == shown


class TestRuns:
    @pytest.mark.parametrize("is_dated", [True, False])
    def test_the_last_twenty_are_shown_in_order(self, database: Database, is_dated: bool) -> None:
        database.add_dag(sales_dag())
        for number in range(30):
            run_id = database.add_run("sales", number, is_dated=is_dated)
            database.add_instance("sales", run_id, "run", "success", seconds=number)
        [found] = seen(database)
        assert [run.seconds for run in found.runs] == [float(number) for number in range(10, 30)]

    def test_a_task_that_did_not_run_counts_for_nothing(self, database: Database) -> None:
        database.add_dag(sales_dag())
        for number, state in enumerate(["success", "skipped", "upstream_failed", "removed", "running"]):
            database.add_instance("sales", database.add_run("sales", number), "run", state)
        [found] = seen(database)
        assert [run.state for run in found.runs] == ["success", "running"]

    def test_mapped_instances_belong_to_their_notebooks(self, database: Database) -> None:
        from airflow.sdk import DAG

        with DAG("sales", schedule=None) as dag:
            DataloreRunNotebookOperator.partial(task_id="run").expand(notebook_id=["a/first", "a/second"])
        database.add_dag(dag)
        run_id = database.add_run("sales", 1)
        for map_index, state in enumerate(["success", "failed"]):
            database.add_instance("sales", run_id, "run", state, map_index=map_index)
        assert [(each.notebook_id, each.is_failing) for each in seen(database)] == [
            ("a/second", True),
            ("a/first", False),
        ]

    def test_the_last_failure_has_its_cell_and_exception(self, database: Database) -> None:
        database.add_dag(sales_dag())
        error = {"summary": "It failed.", "cell": "cell 4 (In[3])", "exception": "KeyError: 'income'"}
        database.add_instance("sales", database.add_run("sales", 1), "run", "failed", error=error)
        database.add_instance("sales", database.add_run("sales", 2), "run", "success", error={"summary": "old"})
        [found] = seen(database)
        assert not found.is_failing
        assert found.error is not None
        assert (found.error.cell, found.error.exception) == ("cell 4 (In[3])", "KeyError: 'income'")

    @pytest.mark.audit
    @pytest.mark.parametrize("error", ["text", 5, {"summary": {"__classname__": "x"}}, {"cell": "c"}, "x" * 100_000])
    def test_an_edited_error_is_not_shown(self, database: Database, error: Any) -> None:
        database.add_dag(sales_dag())
        database.add_instance("sales", database.add_run("sales", 1), "run", "failed", error=error)
        [found] = seen(database)
        assert found.error is None

    def test_usual_durations(self, database: Database) -> None:
        database.add_dag(sales_dag())
        for number, seconds in enumerate([100, 110, 90, 105, 95, 400]):
            database.add_instance("sales", database.add_run("sales", number), "run", "success", seconds=seconds)
        [found] = seen(database)
        assert found.durations == [100.0, 110.0, 90.0, 105.0, 95.0, 400.0]
        assert found.usual_duration == 102.5
        assert found.usual_range == (90.0, 400.0)
        assert found.is_unusual

    def test_what_fails_comes_first(self, database: Database) -> None:
        for dag_id, state in (("a", "success"), ("b", "failed"), ("c", "success")):
            database.add_dag(sales_dag(dag_id, f"ann/{dag_id}"))
            database.add_instance(dag_id, database.add_run(dag_id, 1), "run", state)
        assert names(seen(database, "a", "b", "c")) == ["ann/b", "ann/a", "ann/c"]


class TestRunsToCompare:
    STATES = ("success", "success", "failed", "failed", "running")

    @pytest.fixture
    def keys(self, database: Database) -> list[TaskKey]:
        database.add_dag(sales_dag())
        return [
            database.add_instance("sales", database.add_run("sales", number), "run", state)
            for number, state in enumerate(self.STATES)
        ]

    def test_those_that_have_ended_are_choices(self, database: Database, keys: list[TaskKey]) -> None:
        found = earlier_runs.choices(keys[2], database.session)
        assert [each.run_id for each in found.runs] == ["run-003", "run-002", "run-001", "run-000"]

    @pytest.mark.parametrize(("number", "default"), [(3, "run-001"), (2, "run-001"), (1, "run-000"), (0, "")])
    def test_the_default_is_the_last_good_one_before(
        self, database: Database, keys: list[TaskKey], number: int, default: str
    ) -> None:
        assert earlier_runs.choices(keys[number], database.session).default == default

    def test_without_a_good_one_it_is_the_one_before(self, database: Database) -> None:
        database.add_dag(sales_dag())
        keys = [
            database.add_instance("sales", database.add_run("sales", number), "run", "failed") for number in range(2)
        ]
        found = earlier_runs.choices(keys[1], database.session)
        assert (found.default, found.default_label.partition(":")[0]) == ("run-000", "the run before, which failed")

    def test_a_good_one_long_ago_and_one_that_is_asked_for_are_choices_too(self, database: Database) -> None:
        database.add_dag(sales_dag())
        states = ["success", *["failed"] * 30]
        keys = [
            database.add_instance("sales", database.add_run("sales", number), "run", state)
            for number, state in enumerate(states)
        ]
        found = earlier_runs.choices(keys[-1], database.session, also="run-003")
        assert [each.run_id for each in found.runs][-2:] == ["run-003", "run-000"]
        assert (len(found.runs), found.default) == (22, "run-000")

    def test_another_map_index_is_another_task(self, database: Database, keys: list[TaskKey]) -> None:
        other = database.add_instance("sales", "run-002", "run", "failed", map_index=1)
        found = earlier_runs.choices(other, database.session)
        assert ([each.run_id for each in found.runs], found.default) == (["run-002"], "")
