"""Finds the tasks of this package in a DAG, and what is known of them without running them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

from airflow.providers.common.compat.sdk import DecoratedOperator

from airflow_provider_datalore import defaults
from airflow_provider_datalore.catalog import CatalogEntry
from airflow_provider_datalore.catalog.contract import is_written
from airflow_provider_datalore.operators.datalore import (
    DataloreDownloadArtifactsOperator,
    DataloreDownloadFileOperator,
    DataloreInteractiveRunOperator,
    DataloreRunNotebookOperator,
    DataloreUploadFileOperator,
)
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor

MAX_VARIANTS = 1000
_CLASSES = (
    DataloreRunNotebookOperator,
    DataloreInteractiveRunOperator,
    DataloreUploadFileOperator,
    DataloreDownloadFileOperator,
    DataloreDownloadArtifactsOperator,
    DataloreRunSensor,
)
_WITH_PARAMETERS = (DataloreRunNotebookOperator, DataloreInteractiveRunOperator)
_NAMES = ("notebook_id", "parameters", "datalore_conn_id")


@dataclass(frozen=True, slots=True)
class Variant:
    """What one task runs; a mapped task has several.

    :param notebook: an id, an address, a notebook of the catalog, or what is known only later; None for a task that
        runs no notebook.
    :param parameters: the parameters; None if they are known only when the task runs.
    :param connection: the id of the Airflow connection.
    """

    notebook: Any
    parameters: Mapping[Any, Any] | None
    connection: Any

    @property
    def entry(self) -> CatalogEntry | None:
        """The notebook of the catalog, if it is one."""
        return self.notebook if isinstance(self.notebook, CatalogEntry) else None


@dataclass(frozen=True, slots=True)
class FoundTask:
    """A task of this package.

    :param dag: its DAG.
    :param task_id: its id.
    :param operator: the name of its class.
    :param is_mapped: whether it is mapped.
    :param variants: what it runs.
    """

    dag: Any
    task_id: str
    operator: str
    is_mapped: bool
    variants: tuple[Variant, ...]


def tasks_of(dag: Any) -> Iterator[FoundTask]:
    """The tasks of this package in a DAG, also mapped and decorated ones."""
    for task in dag.tasks:
        operator = getattr(task, "operator_class", type(task))
        if isinstance(operator, type) and issubclass(operator, _CLASSES):
            is_mapped = operator is not type(task)
            arguments = _mapped(task) if is_mapped else [{name: getattr(task, name, None) for name in _NAMES}]
            name = getattr(operator, "custom_operator_name", operator.__name__)
            variants = tuple(_variant(each, dag, operator) for each in islice(arguments, MAX_VARIANTS))
            yield FoundTask(dag, task.task_id, name, is_mapped, variants)


def _variant(arguments: Mapping[str, Any], dag: Any, operator: type) -> Variant:
    parameters = arguments.get("parameters")
    if parameters is None:
        # A decorated function returns them when the task runs.
        is_known = issubclass(operator, _WITH_PARAMETERS) and not issubclass(operator, DecoratedOperator)
        parameters = {} if is_known else None
    connection = arguments.get("datalore_conn_id") or defaults.CONN_ID
    return Variant(
        notebook=_rendered(arguments.get("notebook_id"), dag),
        parameters=parameters if isinstance(parameters, Mapping) else None,
        connection=_rendered(connection, dag),
    )


def _mapped(task: Any) -> Iterator[dict[str, Any]]:
    """The arguments of each task that a mapped one stands for, as far as they stand in the DAG file."""
    own = {name: task.partial_kwargs[name] for name in _NAMES if name in task.partial_kwargs}
    expanded = getattr(task.expand_input, "value", None)
    if isinstance(expanded, Mapping):
        names = [name for name in _NAMES if name in expanded]
        choices = [_elements(expanded[name]) for name in names]
        for values in product(*choices):
            yield {**own, **dict(zip(names, values, strict=True))}
    elif isinstance(expanded, Sequence):
        for each in expanded:
            yield {
                **own,
                **({name: each[name] for name in _NAMES if name in each} if isinstance(each, Mapping) else {}),
            }
    else:
        yield own


def _elements(value: object) -> list[Any]:
    """The elements over which a task is mapped; one that is not known if another task returns them."""
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def _rendered(value: Any, dag: Any) -> Any:
    """A template that uses only the params of the DAG, with their defaults; any other value as it is."""
    if not isinstance(value, str) or is_written(value):
        return value
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    try:
        params = {name: dag.params[name] for name in dag.params}
        return (
            SandboxedEnvironment(undefined=StrictUndefined, autoescape=False).from_string(value).render(params=params)
        )
    except Exception:
        # It uses what is known only when the task runs, or a param without a default.
        return value
