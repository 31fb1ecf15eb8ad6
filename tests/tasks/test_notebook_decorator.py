"""What a DAG author gets from ``@task.datalore_notebook``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowSkipException, TaskDeferred, task

from airflow_provider_datalore.decorators.datalore import DataloreNotebookDecoratedOperator, datalore_notebook_task
from airflow_provider_datalore.exceptions import DataloreConfigurationError
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from airflow_provider_datalore.triggers import event
from tests.lines import wrapped
from tests.tasks.conftest import Context, Datalore, TaskInstance, TaskStateStore


def report(day: object = None, region: str = "eu") -> dict[str, object]:
    return {"date": day, "region": region}


def made(function: Callable[..., Any], *args: Any, **options: Any) -> DataloreNotebookDecoratedOperator:
    """The task that a decorated function makes."""
    decorate: Any = datalore_notebook_task
    with DAG("decorated", schedule=None):
        output = decorate(**{"notebook_id": "ann/sales", "task_id": "run_notebook", **options})(function)(*args)
    operator = output.operator
    assert isinstance(operator, DataloreNotebookDecoratedOperator)
    return operator


def sent(datalore: Datalore) -> dict[str, Any]:
    """The parameters of the one run that was asked for."""
    [request] = datalore.asked("POST")
    return {each["name"]: each["value"] for each in request.json.get("parameters", [])}


class TestParameters:
    def test_the_notebook_runs_with_what_the_function_returns(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1").finishes()
        assert made(report, date(2026, 1, 31)).execute(context) == "run-1"
        assert sent(datalore) == {"date": "2026-01-31", "region": "eu"}

    def test_the_function_may_ask_for_what_is_in_the_context(self, datalore: Datalore, context: Context) -> None:
        def of_today(ds: str | None = None, region: str = "eu") -> dict[str, object]:
            return {"date": ds, "region": region}

        datalore.starts("run-1").finishes()
        made(of_today).execute(context | {"ds": "2026-02-01"})
        assert sent(datalore) == {"date": "2026-02-01", "region": "eu"}

    def test_a_task_that_resumes_knows_them_for_its_asset_events(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1").reports(status="RUNNING")
        with pytest.raises(TaskDeferred):
            made(report, date(2026, 1, 31), deferrable=True).execute(context)
        datalore.finishes()
        resumed = made(report, date(2026, 1, 31), deferrable=True)
        resumed.execute_complete(context, event.finished(resumed.hook.get_run("run-1")))
        assert resumed.parameters == {"date": "2026-01-31", "region": "eu"}

    def test_none_is_no_parameters(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1").finishes()
        made(lambda: None).execute(context)
        assert sent(datalore) == {}

    @pytest.mark.parametrize("returned", [["eu"], "eu", 3])
    def test_anything_else_is_an_error_before_a_run(self, datalore: Datalore, context: Context, returned: Any) -> None:
        with pytest.raises(DataloreConfigurationError, match=wrapped("'run_notebook' returned a .* mapping")):
            made(lambda: returned).execute(context)
        assert datalore.asked("POST") == []

    def test_a_value_that_datalore_cannot_take_is_named(self, datalore: Datalore, context: Context) -> None:
        with pytest.raises(DataloreConfigurationError, match="region"):
            made(lambda: {"region": object()}).execute(context)
        assert datalore.asked("POST") == []

    def test_what_is_returned_is_not_rendered(self, datalore: Datalore, context: Context) -> None:
        datalore.starts("run-1").finishes()
        made(lambda: {"region": "{{ conn.datalore_default.password }}"}).execute(context)
        assert sent(datalore) == {"region": "{{ conn.datalore_default.password }}"}

    def test_xcom_tells_of_them(self, datalore: Datalore, context: Context, task_instance: TaskInstance) -> None:
        datalore.starts("run-1").finishes()
        made(report, date(2026, 1, 31)).execute(context)
        assert task_instance.xcoms["parameters"] == {"date": "2026-01-31", "region": "eu"}

    def test_secrets_in_them_do_not_show_in_xcom(
        self, datalore: Datalore, context: Context, task_instance: TaskInstance
    ) -> None:
        datalore.starts("run-1").finishes()
        made(lambda: {"password": "correct horse battery"}).execute(context)
        assert sent(datalore) == {"password": "correct horse battery"}
        assert task_instance.xcoms["parameters"] == {"password": "***"}


class TestRuns:
    def test_a_skip_comes_before_any_run(self, datalore: Datalore, context: Context) -> None:
        def skips() -> None:
            raise AirflowSkipException("a holiday")

        with pytest.raises(AirflowSkipException):
            made(skips).execute(context)
        assert datalore.asked("POST") == []

    def test_the_triggerer_waits_if_told_to(
        self, datalore: Datalore, context: Context, task_instance: TaskInstance
    ) -> None:
        datalore.starts("run-1").reports("run-1", status="RUNNING")
        operator = made(report, deferrable=True)
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute(context)
        assert deferred.value.method_name == "execute_complete"
        assert task_instance.xcoms["run_id"] == "run-1"

    def test_a_retry_goes_on_with_the_run_without_asking_the_function(
        self, datalore: Datalore, context: Context, store: TaskStateStore
    ) -> None:
        calls = []
        store.set("datalore_run", {"notebook_id": "ann/sales", "run_id": "run-1"})
        datalore.finishes("run-1")
        assert made(lambda: calls.append(1)).execute(context) == "run-1"
        assert calls == []
        assert datalore.asked("POST") == []


class TestInADag:
    def test_a_return_annotation_of_a_dict_does_not_make_several_outputs(self) -> None:
        assert made(report).multiple_outputs is False

    @pytest.mark.parametrize(
        ("wrong", "says"), [({"parameters": {}}, "the function returns"), ({"multiple_outputs": True}, "only output")]
    )
    def test_options_that_have_no_sense_are_refused(self, wrong: dict[str, Any], says: str) -> None:
        with pytest.raises(TypeError, match=says):
            made(report, **wrong)

    def test_it_is_a_decorator_of_airflow_s_task(self) -> None:
        with DAG("by_name", schedule=None):
            output = task.datalore_notebook(notebook_id="ann/sales")(report)()
        assert isinstance(output.operator, DataloreNotebookDecoratedOperator)
        assert output.operator.task_id == "report"

    def test_arguments_may_be_outputs_of_other_tasks(self) -> None:
        with DAG("chained", schedule=None):

            @task
            def day() -> str:
                return "2026-01-31"

            output = task.datalore_notebook(notebook_id="ann/sales")(report)(day())
        assert output.operator.upstream_task_ids == {"day"}

    def test_it_can_be_mapped_and_overridden(self) -> None:
        with DAG("mapped", schedule=None):
            decorated = task.datalore_notebook(notebook_id="ann/sales", deferrable=True)(report)
            mapped = decorated.partial(day=None).expand(region=["eu", "us"]).operator
            other = decorated.override(task_id="other", notebook_id="bob/costs", deferrable=False)().operator
        assert mapped.partial_kwargs["notebook_id"] == "ann/sales"
        assert mapped.operator_class is DataloreNotebookDecoratedOperator
        assert (other.task_id, other.notebook_id, other.deferrable) == ("other", "bob/costs", False)

    def test_it_has_the_links_of_the_operator(self) -> None:
        assert made(report).operator_extra_links == DataloreRunNotebookOperator.operator_extra_links
