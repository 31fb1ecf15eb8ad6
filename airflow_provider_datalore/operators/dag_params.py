"""``parameters=dag.params``: the notebook gets the values of the DAG run, not the defaults in the DAG file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_datalore.api.values import is_param

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator

Parameters = TypeVar("Parameters")


def params_of_run(parameters: Parameters, operator: BaseOperator) -> Parameters | dict[str, Any]:
    """Replace each ``Param`` of the DAG or the task by a reference, which Airflow resolves when the task runs.

    :param parameters: the parameters of the notebook, as the DAG author wrote them.
    :return: the same object if it contains no ``Param``.
    """
    if not isinstance(parameters, Mapping) or not any(is_param(value) for value in parameters.values()):
        return parameters
    return {name: _reference(value, operator) if is_param(value) else value for name, value in parameters.items()}


def _reference(param: Any, operator: BaseOperator) -> Any:
    """A reference to a parameter of the run; the value of a ``Param`` that is neither the DAG's nor the task's.

    :raises ValueError: if that has no value.
    """
    dag = operator.get_dag()
    for params in (operator.params, dag.params if dag is not None else {}):
        for name, declared in params.items():
            if declared is param and dag is not None:
                return _dag_param()(dag, name)
    return param.resolve()


def _dag_param() -> Any:
    try:
        from airflow.sdk.definitions.param import DagParam
    except ImportError:  # Airflow 2
        from airflow.models.param import DagParam  # type: ignore[import-not-found,no-redef]
    return DagParam
