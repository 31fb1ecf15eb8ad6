"""Options ``retry_on`` and ``fail_on``: which failures Airflow retries, by the names of the notebook's exceptions."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException

from airflow_provider_datalore.decorators.datalore import datalore_notebook_task
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreKernelLostError,
    DataloreRunFailedError,
    DataloreUnavailableError,
    DataloreUntrustedServerError,
)
from airflow_provider_datalore.notebooks.failure import CellFailure
from airflow_provider_datalore.operators.datalore import DataloreInteractiveRunOperator, DataloreRunNotebookOperator
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor
from airflow_provider_datalore.tasks import no_retry
from airflow_provider_datalore.tasks.retry_rules import Decision, RetryRules
from airflow_provider_datalore.tasks.retrying import has_policies
from tests.lines import in_one
from tests.tasks.conftest import Context, Datalore, TaskInstance
from tests.tasks.test_failures_explained import ARTIFACT, notebook

BOTH = pytest.mark.parametrize("task_class", [DataloreRunNotebookOperator, DataloreInteractiveRunOperator])


def failed(name: str, traceback: str = "") -> DataloreRunFailedError:
    failure = CellFailure("cell 2", 2, "1/0", name, "why", traceback, "")
    return DataloreRunFailedError("The run failed.", failure=failure)


@pytest.mark.parametrize(
    ("rules", "error", "expected"),
    [
        (RetryRules(), failed("KeyError"), None),
        (RetryRules(fail_on=("KeyError",)), failed("KeyError"), Decision(False, "KeyError is in fail_on")),
        (RetryRules(fail_on=("KeyError",)), failed("ValueError"), None),
        (RetryRules(("OperationalError",)), failed("OperationalError"),
         Decision(True, "OperationalError is in retry_on")),
        (RetryRules(("OperationalError",)), failed("KeyError"), Decision(False, "KeyError is not in retry_on")),
        (RetryRules(("KeyError",), ("KeyError",)), failed("KeyError"), Decision(False, "KeyError is in fail_on")),
        (RetryRules(()), failed("KeyError"), Decision(False, "KeyError is not in retry_on")),
        # A name is not a part of another one.
        (RetryRules(fail_on=("Error",)), failed("KeyError"), None),
        # Dotted names, where the notebook shows them.
        (RetryRules(fail_on=("OperationalError",)), failed("sqlalchemy.exc.OperationalError"),
         Decision(False, "OperationalError is in fail_on")),
        (RetryRules(fail_on=("psycopg2.OperationalError",)),
         failed("OperationalError", "OperationalError: (psycopg2.OperationalError) timeout"),
         Decision(False, "psycopg2.OperationalError is in fail_on")),
        (RetryRules(fail_on=("sqlite3.OperationalError",)),
         failed("OperationalError", "OperationalError: (psycopg2.OperationalError) timeout"), None),
        (RetryRules(fail_on=("psycopg2.OperationalError",)),
         failed("KeyError", "OperationalError: (psycopg2.OperationalError) timeout"), None),
        # Neither is an exception of the notebook.
        (RetryRules(("DataloreKernelLostError",)), failed(""),
         Decision(True, "DataloreKernelLostError is in retry_on")),
        (RetryRules(("DataloreKernelLostError",)), DataloreKernelLostError("It died."),
         Decision(True, "DataloreKernelLostError is in retry_on")),
        (RetryRules(("DataloreUnavailableError",)), DataloreUnavailableError("Gone."),
         Decision(True, "DataloreUnavailableError is in retry_on")),
        (RetryRules(("DataloreUnavailableError",)), DataloreUntrustedServerError("Who?"),
         Decision(True, "DataloreUnavailableError is in retry_on")),
        (RetryRules(("KeyError",)), DataloreUnavailableError("Gone."),
         Decision(False, "DataloreUnavailableError is not in retry_on")),
        (RetryRules(("KeyError",)), RuntimeError("a bug"), Decision(False, "RuntimeError is not in retry_on")),
    ],
)  # fmt: skip
def test_a_failure_is_decided_by_its_name(rules: RetryRules, error: Exception, expected: Decision | None) -> None:
    assert rules.decide(error) == expected


def fails_with(error_name: str, datalore: Datalore) -> Callable[..., Any]:
    datalore.starts("run-1").finishes(success=False).route("GET", ARTIFACT, json=notebook(ename=error_name))

    def execute(context: Context, **options: Any) -> Exception:
        task = DataloreRunNotebookOperator(task_id="run_notebook", notebook_id="ann/sales", retries=1, **options)
        context["task"] = task
        with pytest.raises(DataloreRunFailedError) as raised:
            task.execute(context)
        return raised.value

    return execute


def is_retried(task: Any, error: Exception) -> bool:
    """What this Airflow does with an error of a task that has retries left."""
    if isinstance(error, AirflowFailException):
        return False
    if not has_policies() or task.retry_policy is None:
        return True
    from airflow.sdk.definitions.retry_policy import RetryAction

    return task.retry_policy.evaluate(error, 1, 1, None).action is not RetryAction.FAIL


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, True),
        ({"fail_on": ["KeyError"]}, False),
        ({"fail_on": ["ValueError"]}, True),
        ({"retry_on": ["KeyError"]}, True),
        ({"retry_on": ["ValueError"]}, False),
        ({"retry_on": ["KeyError"], "fail_on": ["KeyError"]}, False),
    ],
)
def test_airflow_retries_a_task_by_the_exception_of_its_notebook(
    datalore: Datalore, context: Context, task_instance: TaskInstance, options: dict[str, Any], expected: bool
) -> None:
    task_instance.try_number = 1  # type: ignore[attr-defined]  # as Airflow's
    error = fails_with("KeyError", datalore)(context, **options)
    assert type(error).__name__ == "DataloreRunFailedError"
    assert error.failure.error_name == "KeyError"  # type: ignore[attr-defined]  # it has one
    assert is_retried(context["task"], error) is expected
    assert ("Airflow retries this task by itself" in in_one(error)) is expected
    if not expected:
        assert "Airflow does not retry it by itself: KeyError is " in in_one(error)


def test_the_same_holds_for_the_sensor(datalore: Datalore, context: Context) -> None:
    datalore.finishes(success=False).route("GET", ARTIFACT, json=notebook())
    sensor = DataloreRunSensor(task_id="wait", run_id="run-1", fail_on=["KeyError"])
    context["task"] = sensor
    with pytest.raises(DataloreRunFailedError) as raised:
        sensor.execute(context)
    assert not is_retried(sensor, raised.value)


def test_an_error_that_is_not_retried_can_be_pickled() -> None:
    error = no_retry.final(failed("KeyError"), "KeyError is in fail_on")
    assert isinstance(error, AirflowFailException)
    assert isinstance(error, DataloreRunFailedError)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  (it was made here)
    assert (type(copy), copy.failure) == (type(error), error.failure)


def test_of_a_bug_that_is_not_retried_the_cause_stays(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_datalore.tasks.retrying.has_policies", lambda: False)
    task = DataloreRunNotebookOperator(task_id="t", notebook_id="ann/sales", retry_on=["KeyError"])
    monkeypatch.setattr(DataloreRunNotebookOperator, "_wait_policy", lambda *_: 1 / 0)
    with pytest.raises(AirflowFailException, match="by zero .not retried: ZeroDivisionError is not in") as bug:
        task.execute(context)
    assert isinstance(bug.value.__cause__, ZeroDivisionError)


@BOTH
@pytest.mark.parametrize("option", ["retry_on", "fail_on"])
@pytest.mark.parametrize("value", ["KeyError", [KeyError], [""], 5])
def test_what_is_not_a_list_of_names_is_refused_before_the_notebook_runs(
    datalore: Datalore, context: Context, task_class: Any, option: str, value: Any
) -> None:
    task = task_class(task_id="t", notebook_id="ann/sales", **{option: value})
    with pytest.raises(DataloreConfigurationError, match=f"{option} is .*list of names"):
        task.execute(context)
    assert datalore.requests == []


def test_the_decorator_has_the_options() -> None:
    with DAG("d", schedule=None):

        @datalore_notebook_task(notebook_id="ann/sales", fail_on=["KeyError"], retry_on=["OSError"])
        def sales() -> dict[str, Any]:
            return {}

        task: Any = sales().operator  # type: ignore[attr-defined]  # an XComArg has it
    assert RetryRules.of(task) == RetryRules(("OSError",), ("KeyError",))


@pytest.mark.skipif(not has_policies(), reason="Airflow has retry policies since 3.3")
class TestRetryPolicies:
    def test_the_reason_is_that_of_airflows_decision(self) -> None:
        task = DataloreRunNotebookOperator(task_id="t", notebook_id="a/b", retry_on=["OSError"], fail_on=["KeyError"])
        evaluate: Any = task.retry_policy.evaluate  # type: ignore[union-attr]  # it is there
        assert evaluate(failed("OSError"), 1, 1).reason == "OSError is in retry_on."
        assert evaluate(failed("KeyError"), 1, 1).reason == "KeyError is in fail_on."

    def test_airflow_stores_the_reason_of_a_retry_and_fails_the_others(self) -> None:
        import logging
        from types import SimpleNamespace

        from airflow.sdk.execution_time.task_runner import _handle_current_task_failed

        server = SimpleNamespace(max_tries=1, should_retry=True)
        known = {"try_number": 1, "stats_tags": {}, "_ti_context_from_server": server, "_failure_metrics_emitted": True}
        task = DataloreRunNotebookOperator(task_id="t", notebook_id="a/b", retries=1, retry_on=["OSError"])
        instance: Any = SimpleNamespace(task=task, rendered_map_index=None, **known)
        log: Any = SimpleNamespace(info=lambda *_, **__: None, exception=logging.exception)
        retried: Any
        retried, state = _handle_current_task_failed(instance, failed("OSError"), log)
        assert (retried.retry_reason, state.value) == ("OSError is in retry_on.", "up_for_retry")
        _, state = _handle_current_task_failed(instance, failed("KeyError"), log)
        assert state.value == "failed"

    def test_without_the_options_there_is_none(self) -> None:
        assert DataloreRunNotebookOperator(task_id="t", notebook_id="a/b").retry_policy is None

    def test_a_policy_of_the_users_stays_in_force(self) -> None:
        from datetime import timedelta

        from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule

        theirs = ExceptionRetryPolicy(
            [
                RetryRule(DataloreUnavailableError, RetryAction.RETRY, timedelta(minutes=9), reason="theirs"),
                RetryRule(DataloreKernelLostError, RetryAction.FAIL, reason="theirs"),
            ]
        )
        both = {"retry_on": ["DataloreUnavailableError", "DataloreKernelLostError", "OSError"]}
        task = DataloreRunNotebookOperator(task_id="t", notebook_id="a/b", retry_policy=theirs, **both)  # type: ignore[arg-type]
        evaluate: Any = task.retry_policy.evaluate  # type: ignore[union-attr]  # it is there
        assert evaluate(DataloreUnavailableError("x"), 1, 1).retry_delay == timedelta(minutes=9)
        assert evaluate(DataloreKernelLostError("x"), 1, 1).action is RetryAction.FAIL
        assert evaluate(failed("OSError"), 1, 1).reason == "OSError is in retry_on."
        assert evaluate(failed("KeyError"), 1, 1).reason == "KeyError is not in retry_on."

    def test_fail_on_beats_it(self) -> None:
        from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule

        theirs = ExceptionRetryPolicy([RetryRule(DataloreRunFailedError, RetryAction.RETRY)])
        task = DataloreRunNotebookOperator(task_id="t", notebook_id="a/b", retry_policy=theirs, fail_on=["KeyError"])
        evaluate: Any = task.retry_policy.evaluate  # type: ignore[union-attr]  # it is there
        assert evaluate(failed("KeyError"), 1, 1).action is RetryAction.FAIL
        assert evaluate(failed("OSError"), 1, 1).action is RetryAction.RETRY

    def test_mapped_tasks_have_it(self) -> None:
        with DAG("d", schedule=None):
            mapped: Any = DataloreRunNotebookOperator.partial(task_id="t", notebook_id="a/b", fail_on=["KeyError"])
            task = mapped.expand(parameters=[{"x": 1}]).unmap({"parameters": {"x": 1}})
        assert task.retry_policy.evaluate(failed("KeyError"), 1, 1).reason == "KeyError is in fail_on."
