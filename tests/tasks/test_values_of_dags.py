"""Values, sequences and time limits as DAG authors write them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datalore.api.parameters import to_datalore
from airflow_provider_datalore.api.waiting import WaitPolicy, deadline_after
from airflow_provider_datalore.decorators.datalore import datalore_notebook_task
from airflow_provider_datalore.hooks.run_outputs import check_output_names
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from tests.tasks.conftest import Context, Datalore

try:
    from airflow.sdk import Param
except ImportError:
    from airflow.models.param import Param


class Lazy(Sequence[Any]):
    """Like the XComs of a mapped task."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: Any) -> Any:
        return ["a", "b", "c"][index]


def sent(datalore: Datalore) -> dict[str, Any]:
    [request] = datalore.asked("POST")
    return {each["name"]: each["value"] for each in request.json.get("parameters", [])}


def test_the_xcoms_of_a_mapped_task_are_a_list() -> None:
    assert to_datalore({"ids": Lazy()}) == {"ids": ["a", "b", "c"]}
    assert check_output_names(Lazy()) == ["a", "b", "c"]


def test_time_limits_may_be_timedeltas(datalore: Datalore, context: Context) -> None:
    datalore.starts("run-1").finishes()
    minute = timedelta(minutes=1)
    task = DataloreRunNotebookOperator(
        task_id="run_notebook", notebook_id="ann/sales", timeout=minute, poll_interval=minute, max_outage=minute
    )
    assert (task.timeout, task.poll_interval, task.max_outage) == (60, 60, 60)
    assert task.execute(context) == "run-1"
    assert task.hook.wait_for_run("run-1", timeout=minute, poll_interval=minute, max_outage=minute).is_finished
    assert deadline_after(minute, 0.0) == 60
    assert WaitPolicy(max_outage=60).max_outage == 60


def test_the_params_of_the_dag_have_the_values_of_the_run(datalore: Datalore, context: Context) -> None:
    datalore.starts("run-1").finishes()
    with DAG("params", schedule=None, params={"region": Param("eu", type="string"), "days": 3}) as dag:
        task = DataloreRunNotebookOperator(task_id="run_notebook", notebook_id="ann/sales", parameters=dag.params)

    class Run:
        conf: dict[str, Any] = {}  # noqa: RUF012

    values = {**context, "params": {"region": "us", "days": 3}, "dag_run": Run()}
    task.parameters = task.render_template(task.parameters, values)
    task.execute(values)
    assert sent(datalore) == {"region": "us", "days": "3"}
    assert to_datalore(dag.params) == {"region": "eu", "days": "3"}


def test_an_async_function_is_awaited(datalore: Datalore, context: Context) -> None:
    async def parameters() -> dict[str, str]:
        return {"region": "eu"}

    decorate: Any = datalore_notebook_task
    datalore.starts("run-1").finishes()
    with DAG("decorated", schedule=None):
        task = decorate(notebook_id="ann/sales", task_id="run_notebook")(parameters)().operator
    task.execute(context)
    assert sent(datalore) == {"region": "eu"}


def test_a_generator_is_refused_when_the_dag_is_read() -> None:
    def parameters() -> Any:
        yield {"region": "eu"}

    decorate: Any = datalore_notebook_task
    with DAG("decorated", schedule=None), pytest.raises(TypeError, match="yields values"):
        decorate(notebook_id="ann/sales", task_id="run_notebook")(parameters)()
