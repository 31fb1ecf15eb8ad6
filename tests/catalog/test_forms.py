"""The form of **Trigger DAG** that is made of controls, and the values that come back from it."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_datalore.catalog import Catalog, CatalogEntry
from airflow_provider_datalore.exceptions import DataloreConfigurationError
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from tests.catalog.conftest import CONTROLS, WriteLock


def resolved(entry: CatalogEntry, **params: Any) -> dict[str, Any]:
    """What the task hands on when the form has these values."""
    return {name: value.resolve({"params": params}) for name, value in entry.parameters().items() if name in params}


def test_each_control_is_a_param_of_its_type(entry: CatalogEntry) -> None:
    params = entry.params()
    assert list(params) == list(CONTROLS)
    assert all(isinstance(param, Param) for param in params.values())
    schemas = {name: param.schema for name, param in params.items()}
    assert schemas["region"] == {"title": "Region", "type": "string", "enum": ["North", "South"]}
    assert schemas["days"] == {"title": "Days", "type": "number", "minimum": 1, "maximum": 30}
    assert schemas["since"] == {"title": "Since", "type": "string", "format": "date"}
    assert schemas["fast"] == {"title": "fast", "type": "boolean"}
    assert schemas["title"] == {"title": "title", "type": "string"}
    assert schemas["tags"]["type"] == "array"
    assert schemas["tags"]["items"] == {"type": "string", "enum": ["a", "b", "it's"]}
    assert schemas["tags"]["examples"] == ["a", "b", "it's"]
    assert "enum" not in schemas["shop"]


def test_defaults_are_the_notebooks_own_unless_others_are_given(entry: CatalogEntry) -> None:
    assert {name: param.value for name, param in entry.params().items() if name != "future"} == {
        name: facts["default"] for name, facts in CONTROLS.items() if name != "future"
    }
    assert entry.params(region="South", days="3")["region"].value == "South"
    assert entry.params(days="3")["days"].value == 3


@pytest.mark.parametrize("defaults", [{"regoin": "North"}, {"region": "East"}, {"days": 99}])
def test_a_wrong_default_fails_when_the_dag_is_read(entry: CatalogEntry, defaults: dict[str, Any]) -> None:
    with pytest.raises(DataloreConfigurationError, match="Sales/Daily sales"):
        entry.params(**defaults)


def test_all_defaults_are_valid_in_a_dag(entry: CatalogEntry) -> None:
    with DAG("sales", schedule=None, params=entry.params()) as dag:
        pass
    dag.params.validate()


def test_a_dag_with_a_schedule_may_leave_out_what_the_notebook_has(write_lock: WriteLock) -> None:
    controls = {"shop": {"type": "DROPDOWN", "dynamic": True}, "title": {"type": "TEXT_INPUT", "default": ""}}
    entry = Catalog.read(write_lock({"Shop": {"ids": {"a": "b/c"}, "controls": controls}}))["Shop"]
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with DAG("sales", schedule="@daily", start_date=start, params=entry.params()) as dag:
        pass
    assert dag.params.validate() == {"shop": None, "title": ""}


def test_values_are_handed_on_in_the_type_of_their_control(entry: CatalogEntry) -> None:
    values = {"title": "5", "days": 3, "fast": True, "tags": ["a", "it's"], "since": "2026-01-31", "shop": "x"}
    assert resolved(entry, **values) == values
    assert resolved(entry, title="1_000", days="4", fast="false") == {"title": "1_000", "days": 4, "fast": False}
    assert resolved(entry, title=None) == {"title": None}


def test_a_param_that_the_dag_lacks_says_what_to_do(entry: CatalogEntry) -> None:
    with pytest.raises(DataloreConfigurationError, match=r"params=entry\.params\(\)"):
        entry.parameters()["days"].resolve({"params": {}})


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
def test_no_template_touches_the_values_of_the_form(entry: CatalogEntry, native: bool) -> None:
    with DAG("sales", schedule=None, params=entry.params(), render_template_as_native_obj=native) as dag:
        task = DataloreRunNotebookOperator(task_id="a", notebook_id=entry, parameters=entry.parameters())
    form = {name: param.value for name, param in dag.params.items()} if not native else dag.params.dump()
    context: Any = {"params": {**form, "title": "{{ 7 * 7 }}", "days": 3, "tags": ["a", "b"]}, "task": task}
    task.render_template_fields(context)
    assert task.parameters["title"] == "{{ 7 * 7 }}"
    assert task.parameters["days"] == 3
    assert task.parameters["tags"] == ["a", "b"]
    assert task.notebook_id == "ann/sales"


def test_they_survive_copies_and_pickles(entry: CatalogEntry) -> None:
    parameters = entry.parameters()
    assert copy.deepcopy(parameters) == parameters
    again = pickle.loads(pickle.dumps(parameters))  # noqa: S301  (our own)
    assert again["days"].resolve({"params": {"days": "5"}}) == 5
    assert str(parameters["days"]) == "{{ params.days }}"
