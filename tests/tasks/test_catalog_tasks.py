"""Tasks that run a notebook of the catalog: its id for the connection, the contract before and after the run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ForwardRef, Optional

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, TaskGroup, task, task_group
from airflow.triggers import base as triggers_base
from pydantic import BaseModel, field_validator

from airflow_provider_datalore import xcom
from airflow_provider_datalore.assets.datalore import create_asset
from airflow_provider_datalore.catalog import Catalog, CatalogEntry
from airflow_provider_datalore.catalog.code import CodeOfCell
from airflow_provider_datalore.catalog.lock_file import to_text
from airflow_provider_datalore.decorators.datalore import datalore_notebook_task
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreNotebookApiMissingError,
    DataloreNotebookEditedError,
    DataloreOutputError,
    RunState,
)
from airflow_provider_datalore.hooks.datalore import DataloreHook
from airflow_provider_datalore.operators.datalore import (
    DataloreDownloadFileOperator,
    DataloreInteractiveRunOperator,
    DataloreRunNotebookOperator,
    DataloreUploadFileOperator,
)
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor
from tests.catalog.conftest import NOTEBOOK
from tests.notebooks.files import cell, notebook, scrap
from tests.tasks.conftest import TOKEN, Context, Datalore

ARTIFACT = "/notebook/ann/sales/artifacts/run-1/sales.ipynb"
CODE = "print(1)"
CELLS = "/api/notebook/v1/cells"


class Report(BaseModel):
    rows: int
    share: float = 0.5


class Picky(BaseModel):
    a: int

    @field_validator("a")
    @classmethod
    def look_up(cls, value: int) -> int:
        raise KeyError("no such shop")


class Plain:
    pass


@pytest.fixture
def entry(tmp_path: Path) -> CatalogEntry:
    locked = {**NOTEBOOK, "cells": [CodeOfCell("", CODE).hash]}
    path = tmp_path / "datalore.lock"
    path.write_text(to_text({"Sales/Daily sales": locked}))
    return Catalog.read(path)["Sales/Daily sales"]


def operator(entry: CatalogEntry, **options: Any) -> DataloreRunNotebookOperator:
    arguments = {"task_id": "run_notebook", "notebook_id": entry, **options}
    return DataloreRunNotebookOperator(**arguments)


def returns(datalore: Datalore, *cells: Any) -> Datalore:
    """A run that ends well, with this executed notebook."""
    datalore.route("POST", "/api/run/v1/notebook", json={"runId": "run-1"})
    datalore.finishes().route("GET", ARTIFACT, body=notebook(*cells))
    return datalore


def requested(datalore: Datalore) -> list[dict[str, Any]]:
    return [json.loads(each.body) for each in datalore.requests if each.path == "/api/run/v1/notebook"]


class TestTheNotebook:
    def test_its_id_is_that_of_the_connection(
        self, entry: CatalogEntry, datalore: Datalore, context: Context, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        returns(datalore)
        connection = {"conn_type": "datalore", "host": datalore.url, "password": TOKEN}
        monkeypatch.setenv("AIRFLOW_CONN_PRODUCTION", json.dumps(connection))
        operator(entry).execute(context)
        operator(entry, datalore_conn_id="production").execute(context)
        assert [each["notebookId"] for each in requested(datalore)] == ["ann/sales", "prod/0123"]

    def test_after_rendering_the_task_has_the_id_of_a_templated_connection(self, entry: CatalogEntry) -> None:
        with DAG("sales", schedule=None):
            task = operator(entry, datalore_conn_id="{{ params.connection }}")
        task.render_template_fields({"params": {"connection": "production"}})  # type: ignore[typeddict-item]
        assert task.notebook_id == "prod/0123"
        assert task.catalog_entry is entry

    def test_a_mapped_task_group_may_hand_one_on(self, entry: CatalogEntry) -> None:
        tasks = []

        @task_group
        def shop(notebook: Any, days: Any) -> None:
            tasks.append(DataloreRunNotebookOperator(task_id="a", notebook_id=notebook, parameters={"days": days}))

        with DAG("sales", schedule=None):
            shop.expand(notebook=[entry], days=[99])
        [task] = tasks
        task.notebook_id = entry  # As Airflow's rendering sets it.
        task.parameters = {"days": 99}
        task.render_template_fields({})
        assert task.notebook_id == "ann/sales"
        assert task.catalog_entry is entry

    def test_a_connection_without_an_id_fails_when_the_dag_is_read(self, entry: CatalogEntry) -> None:
        with pytest.raises(DataloreConfigurationError, match="'staging'"):
            operator(entry, datalore_conn_id="staging")

    def test_every_task_with_a_notebook_takes_one(self, entry: CatalogEntry) -> None:
        common = {"notebook_id": entry, "datalore_conn_id": "production"}
        tasks = [
            DataloreInteractiveRunOperator(task_id="a", **common),
            DataloreUploadFileOperator(task_id="b", source="/data/x.csv", **common),
            DataloreDownloadFileOperator(task_id="c", path="x.csv", destination="/data", **common),
        ]
        for each in tasks:
            each.render_template_fields({})  # type: ignore[typeddict-item]
            assert each.notebook_id == "prod/0123"

    def test_hooks_and_assets_take_one(self, entry: CatalogEntry, datalore: Datalore) -> None:
        hook = DataloreHook()
        assert hook.notebook_url(entry) == f"{datalore.url}/notebook/ann/sales"
        assert str(hook.notebook(entry).id) == "ann/sales"
        asset = create_asset(entry, host="dl.example.com", datalore_conn_id="production")
        assert asset.uri == "datalore://dl.example.com/prod/0123"

    @pytest.mark.skipif(not hasattr(triggers_base, "BaseEventTrigger"), reason="events need Airflow 3")
    def test_the_trigger_for_events_stores_its_id(self, entry: CatalogEntry) -> None:
        from airflow_provider_datalore.triggers.notebook import DataloreNotebookTrigger

        _, stored = DataloreNotebookTrigger(entry, datalore_conn_id="production").serialize()
        assert stored["notebook_id"] == "prod/0123"


class TestTheContractBeforeTheRun:
    def test_what_stands_in_the_file_fails_when_it_is_read(self, entry: CatalogEntry) -> None:
        for parameters in ({"regoin": "North"}, {"region": "East"}, {"days": 31}):
            with pytest.raises(DataloreConfigurationError, match="'Sales/Daily sales'"):
                operator(entry, parameters=parameters)

    def test_default_args_are_checked_as_well(self, entry: CatalogEntry) -> None:
        with (
            pytest.raises(DataloreConfigurationError, match="'days'"),
            DAG("sales", schedule=None, default_args={"notebook_id": entry}),
        ):
            DataloreRunNotebookOperator(task_id="a", parameters={"days": 31})

    def test_mapped_arguments_that_stand_in_the_file_are_checked_when_it_is_read(self, entry: CatalogEntry) -> None:
        partial = DataloreRunNotebookOperator.partial
        with DAG("sales", schedule=None):
            partial(task_id="a", notebook_id=entry).expand(parameters=[{"days": 3}, {"days": "{{ ds }}"}])
            for expand in (
                lambda: partial(task_id="b", notebook_id=entry).expand(parameters=[{"days": 3}, {"days": 31}]),
                lambda: partial(task_id="c", parameters={"days": 31}).expand(notebook_id=[entry]),
                lambda: partial(task_id="d", notebook_id=entry).expand_kwargs([{"parameters": {"regoin": 1}}]),
                lambda: partial(task_id="e", notebook_id=entry, datalore_conn_id="x").expand(parameters=[{}]),
                lambda: partial(task_id="f", notebook_id="a/b", when_edited="warn").expand(parameters=[{}]),
            ):
                with pytest.raises(DataloreConfigurationError):
                    expand()

    def test_other_values_fail_before_the_request(
        self, entry: CatalogEntry, datalore: Datalore, context: Context
    ) -> None:
        task = operator(entry, parameters={"days": "{{ params.days }}"})
        task.parameters = {"days": "31"}
        with pytest.raises(DataloreConfigurationError, match="'days'"):
            task.execute(context)
        assert datalore.requests == []

    def test_the_values_of_a_decorated_function_fail_before_the_request(
        self, entry: CatalogEntry, datalore: Datalore, context: Context
    ) -> None:
        with DAG("sales", schedule=None):

            @datalore_notebook_task(notebook_id=entry)
            def run_notebook() -> dict[str, object]:
                return {"region": "East"}

            decorated = run_notebook().operator
        with pytest.raises(DataloreConfigurationError, match="'East'"):
            decorated.execute(context)
        assert datalore.requests == []

    def test_rendered_text_is_sent_in_the_type_of_the_control(
        self, entry: CatalogEntry, datalore: Datalore, context: Context
    ) -> None:
        returns(datalore)
        task = operator(entry, parameters={"days": "{{ x }}"})
        task.parameters = {"days": " 3 ", "fast": "True", "tags": "['a', 'b']", "since": "2026-01-31T00:00:00"}
        task.execute(context)
        sent = {each["name"]: each["value"] for each in requested(datalore)[0]["parameters"]}
        assert sent == {"days": "3", "fast": True, "tags": ["a", "b"], "since": "2026-01-31"}

    def test_without_a_catalog_nothing_changes(self, datalore: Datalore, context: Context) -> None:
        returns(datalore)
        DataloreRunNotebookOperator(
            task_id="run_notebook", notebook_id="ann/sales", parameters={"any": "True"}
        ).execute(context)
        assert requested(datalore)[0]["parameters"] == [{"name": "any", "value": "True"}]


ACCEPTED: list[tuple[Any, Any, Any]] = [
    (float, 1, 1.0),
    (float, 1.5, 1.5),
    (int, 3, 3),
    (str, "a", "a"),
    (bool, True, True),
    (list[str], ["a"], ["a"]),
    (dict[str, float], {"a": 1}, {"a": 1.0}),
    (Optional[int], None, None),  # noqa: UP045  (as users write it)
    (int | None, 3, 3),
    (Report, {"rows": 3}, {"rows": 3, "share": 0.5}),
    (list[Report], [{"rows": 3, "share": 1}], [{"rows": 3, "share": 1.0}]),
    (tuple[int, int], [1, 2], [1, 2]),
]
REFUSED: list[tuple[Any, Any, str]] = [
    (int, True, "int"),
    (float, False, "float"),
    (int, 1.5, "int"),
    (int, "many", "int"),
    (list[int], ["3"], "list[int]"),
    (list[float], ["1.5"], "list[float]"),
    (str, 3, "str"),
    (bool, 1, "bool"),
    (list[str], ["a", 1], "list[str]"),
    (list[str], "a", "list[str]"),
    (dict[str, float], {"a": "b"}, "dict[str, float]"),
    (int, None, "int"),
    (Report, {"rows": "many"}, "Report"),
    (Report, {"row": 3}, "Report"),
]


@pytest.fixture(params=["operator", "sensor"])
def task_with(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    def create(outputs: Any) -> Any:
        if request.param == "sensor":
            return DataloreRunSensor(task_id="run_notebook", run_id="run-1", outputs=outputs)
        return DataloreRunNotebookOperator(task_id="run_notebook", notebook_id="ann/sales", outputs=outputs)

    return create

    def test_it_holds_for_each_pair_of_what_a_task_is_mapped_over(self, entry: CatalogEntry) -> None:
        def mapped(**arguments: Any) -> None:
            with DAG("sales", schedule=None):
                DataloreRunNotebookOperator.partial(task_id="a").expand(**arguments)

        mapped(notebook_id=[entry, "ann/other"], parameters=[{"days": 3}])
        mapped(notebook_id=["ann/other"], parameters=[{"days": 99}])
        with pytest.raises(DataloreConfigurationError, match="from 1 to 30"):
            mapped(notebook_id=["ann/other", entry], parameters=[{"days": 3}, {"days": 99}])

    @pytest.mark.parametrize("place", ["dag", "group"])
    def test_default_args_count_for_mapped_tasks(self, entry: CatalogEntry, tmp_path: Path, place: str) -> None:
        path = tmp_path / "production.lock"
        path.write_text(to_text({"Sales": {**NOTEBOOK, "ids": {"production": "prod/0123"}}}))
        produced = Catalog.read(path)["Sales"]

        def mapped(**default_args: Any) -> None:
            outer, inner = (default_args, {}) if place == "dag" else ({}, default_args)
            with DAG("sales", schedule=None, default_args=outer), TaskGroup("group", default_args=inner):
                DataloreRunNotebookOperator.partial(task_id="a").expand(parameters=[{"days": 3}])

        mapped(notebook_id=produced, datalore_conn_id="production")
        with pytest.raises(DataloreConfigurationError, match="'datalore_default'"):
            mapped(notebook_id=produced)

    def test_outputs_in_default_args_have_a_value_too(self, entry: CatalogEntry) -> None:
        with DAG("sales", schedule=None, default_args={"outputs": {"rows": int}}):
            mapped = DataloreRunNotebookOperator.partial(task_id="a", notebook_id=entry).expand(
                parameters=[{"days": 3}]
            )
        assert mapped.value("rows").key == xcom.output_key("rows")
        with pytest.raises(DataloreConfigurationError, match="'rows'"):
            mapped.value("columns")

    def test_it_holds_for_the_hook_too(self, entry: CatalogEntry, datalore: Datalore) -> None:
        with pytest.raises(DataloreConfigurationError, match="from 1 to 30"):
            DataloreHook().run_notebook(entry, parameters={"days": 31})
        assert datalore.requests == []
        DataloreHook().run_notebook(entry, parameters={"days": "3", "tags": "['a', 'b']"})
        [request] = datalore.asked("POST")
        sent = {each["name"]: each["value"] for each in json.loads(request.body)["parameters"]}
        assert sent == {"days": "3", "tags": ["a", "b"]}


class TestTheContractAfterTheRun:
    @pytest.mark.parametrize(("kind", "value", "expected"), ACCEPTED, ids=repr)
    def test_a_value_of_the_type_is_handed_on(
        self, kind: Any, value: Any, expected: Any, datalore: Datalore, context: Context, task_with: Any
    ) -> None:
        returns(datalore, cell(scrap("x", value)))
        task_with({"x": kind}).execute(context)
        pushed = context["ti"].xcoms
        assert pushed[xcom.OUTPUTS] == {"x": expected}
        assert pushed[xcom.output_key("x")] == expected
        assert type(pushed[xcom.output_key("x")]) is type(expected)

    @pytest.mark.parametrize(("kind", "value", "shown"), REFUSED, ids=repr)
    def test_a_value_of_another_type_fails_the_task(
        self, kind: Any, value: Any, shown: str, datalore: Datalore, context: Context, task_with: Any
    ) -> None:
        returns(datalore, cell(scrap("x", value)))
        with pytest.raises(DataloreOutputError) as raised:
            task_with({"x": kind}).execute(context)
        message = " ".join(str(raised.value).split())
        assert "'x'" in message
        assert shown in message
        assert ("null" if value is None else repr(value)) in message
        assert raised.value.output == "x"
        assert raised.value.state is RunState.SUCCEEDED
        assert isinstance(raised.value, AirflowFailException)
        assert xcom.OUTPUTS not in context["ti"].xcoms

    def test_whatever_a_validator_of_the_users_raises_names_the_output(
        self, datalore: Datalore, context: Context, task_with: Any
    ) -> None:
        returns(datalore, cell(scrap("x", {"a": 1})))
        with pytest.raises(DataloreOutputError, match="KeyError: 'no such shop'"):
            task_with({"x": Picky}).execute(context)

    @pytest.mark.parametrize(
        ("kind", "reason"),
        [(list[ForwardRef("Nowhere")], "is not defined"), (Plain, "pydantic"), (len, "not a type")],
        ids=["a name", "any class", "a function"],
    )
    def test_why_a_type_cannot_be_checked_is_said_before_the_run(
        self, kind: Any, reason: str, datalore: Datalore, context: Context, task_with: Any
    ) -> None:
        with pytest.raises(DataloreConfigurationError, match="'x'") as raised:
            task_with({"x": kind}).execute(context)
        assert reason in " ".join(str(raised.value).split())
        assert datalore.requests == []

    @pytest.mark.parametrize("kind", [5, "float", None, ["a"], {"a": int}], ids=repr)
    def test_what_is_no_type_fails_before_the_run(
        self, kind: Any, datalore: Datalore, context: Context, task_with: Any
    ) -> None:
        with pytest.raises(DataloreConfigurationError, match="type"):
            task_with({"x": kind}).execute(context)
        assert datalore.requests == []


class TestOneValue:
    def test_it_is_an_argument_of_other_tasks(self, entry: CatalogEntry) -> None:
        with DAG("sales", schedule=None) as dag:
            load = operator(entry, outputs={"rows": int})
            sensor = DataloreRunSensor(task_id="sensor", run_id=load.output, outputs=["rows"])
            mapped = DataloreRunNotebookOperator.partial(
                task_id="mapped", notebook_id=entry, outputs={"rows": int}
            ).expand(parameters=[{"days": 3}])

            @datalore_notebook_task(notebook_id=entry, outputs=["rows"])
            def decorated(region: str) -> dict[str, object]:
                return {"region": region}

            one, several = decorated("North"), decorated.expand(region=["North"])
            DataloreRunNotebookOperator(task_id="next", notebook_id=entry, parameters={"days": load.value("rows")})
            DataloreRunNotebookOperator.partial(task_id="each", parameters={"days": load.value("rows")}).expand(
                notebook_id=[entry]
            )

            @task
            def use(*values: Any) -> None: ...

            used = use(*(each.value("rows") for each in (load, sensor, mapped, one, several)))
        assert dag.get_task("next").upstream_task_ids == {"run_notebook"}
        assert dag.get_task("each").upstream_task_ids == {"run_notebook"}
        assert len(used.operator.upstream_task_ids) == 5

    def test_a_name_that_the_task_does_not_return_fails_when_the_dag_is_read(self, entry: CatalogEntry) -> None:
        for outputs in (["rows"], {"rows": int}, None):
            with DAG("sales", schedule=None):
                task = operator(entry, outputs=outputs)
            with pytest.raises(DataloreConfigurationError, match="no output 'row'"):
                task.value("row")

    def test_names_with_any_characters_have_keys_of_their_own(self) -> None:
        names = ["rows", "rows.total", "a/b", "a b", "größe", "x", "x61"]
        keys = [xcom.output_key(name) for name in names]
        assert len(set(keys)) == len(names)
        assert all(key.isascii() and not {"/", " ", "?", "%"} & set(key) for key in keys)


def shows(datalore: Datalore, *sources: str) -> None:
    """Cells of the notebook in the Notebook API."""
    cells = [
        {"cellId": f"c{number}", "cellType": "CODE", "position": number, "source": source, "data": {}}
        for number, source in enumerate(sources)
    ]
    datalore.route("POST", CELLS, json={"cells": cells, "cellsWithOutputs": None})


def is_without_notebook_api(datalore: Datalore) -> None:
    for path in (CELLS, "/api/notebook/v1/kernel/status"):
        datalore.route("POST", path, status=404, json={"error": "Not found"})


class TestWhenEdited:
    def test_edited_code_fails_before_the_run(self, entry: CatalogEntry, datalore: Datalore, context: Context) -> None:
        shows(datalore, "print(2)", "print(3)")
        with pytest.raises(DataloreNotebookEditedError, match="print") as raised:
            operator(entry, when_edited="fail").execute(context)
        assert raised.value.edits == (
            "cell 1, starting with 'print(2)' was changed",
            "cell 2, starting with 'print(3)' was added",
        )
        assert raised.value.state is RunState.NOT_STARTED
        assert isinstance(raised.value, AirflowFailException)
        assert requested(datalore) == []

    def test_a_warning_names_the_cells_and_the_notebook_runs(
        self, entry: CatalogEntry, datalore: Datalore, context: Context, logged: Callable[[], str]
    ) -> None:
        returns(datalore)
        shows(datalore, "print(2)")
        operator(entry, when_edited="warn").execute(context)
        assert "starting with 'print(2)'" in logged()
        assert len(requested(datalore)) == 1

    def test_the_locked_code_runs(self, entry: CatalogEntry, datalore: Datalore, context: Context) -> None:
        returns(datalore)
        shows(datalore, "", f"{CODE}  \r\n")
        operator(entry, when_edited="fail").execute(context)
        assert len(requested(datalore)) == 1

    def test_nothing_is_read_by_default(self, entry: CatalogEntry, datalore: Datalore, context: Context) -> None:
        returns(datalore)
        operator(entry).execute(context)
        assert not [each for each in datalore.requests if each.path in (CELLS, ARTIFACT)]

    def test_without_notebook_api_the_executed_notebook_is_compared(
        self, entry: CatalogEntry, datalore: Datalore, context: Context
    ) -> None:
        is_without_notebook_api(datalore)
        returns(datalore, cell(source="print(2)"))
        with pytest.raises(DataloreNotebookEditedError, match="print") as raised:
            operator(entry, when_edited="fail").execute(context)
        assert raised.value.state is RunState.SUCCEEDED
        assert len(requested(datalore)) == 1
        assert xcom.OUTPUTS not in context["ti"].xcoms

    def test_without_notebook_api_the_locked_code_is_recognized(
        self, entry: CatalogEntry, datalore: Datalore, context: Context
    ) -> None:
        is_without_notebook_api(datalore)
        returns(datalore, cell(source=CODE), cell(source="days = 3", tags=("injected-parameters",)))
        operator(entry, when_edited="fail").execute(context)

    def test_a_task_that_does_not_wait_cannot_compare_after_the_run(
        self, entry: CatalogEntry, datalore: Datalore, context: Context
    ) -> None:
        is_without_notebook_api(datalore)
        with pytest.raises(DataloreNotebookApiMissingError, match="when_edited"):
            operator(entry, when_edited="fail", wait_for_completion=False).execute(context)
        assert requested(datalore) == []

    def test_an_interactive_run_compares_before_it(
        self, entry: CatalogEntry, datalore: Datalore, context: Context
    ) -> None:
        shows(datalore, "print(2)")
        task = DataloreInteractiveRunOperator(task_id="run_notebook", notebook_id=entry, when_edited="fail")
        with pytest.raises(DataloreNotebookEditedError):
            task.execute(context)
        assert not [each for each in datalore.requests if "computation" in each.path]
