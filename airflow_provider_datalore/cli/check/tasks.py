"""Finds the tasks of this package in a DAG, and what is known of them without running them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from airflow.providers.common.compat.sdk import DecoratedOperator

from airflow_provider_datalore import defaults
from airflow_provider_datalore.api.text import one_line
from airflow_provider_datalore.catalog import CatalogEntry
from airflow_provider_datalore.catalog.contract import is_written
from airflow_provider_datalore.cli.check.expansions import expansions, in_mapped_groups
from airflow_provider_datalore.operators.datalore import (
    DataloreDownloadArtifactsOperator,
    DataloreDownloadFileOperator,
    DataloreInteractiveRunOperator,
    DataloreRunNotebookOperator,
    DataloreUploadFileOperator,
)
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor
from airflow_provider_datalore.tasks.mapped_arguments import own_arguments

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
_NAMES = ("notebook_id", "parameters", "datalore_conn_id", "outputs")


@dataclass(frozen=True, slots=True)
class Variant:
    """What one task runs; a mapped task has several.

    :param notebook: an id, an address, a notebook of the catalog, or what is known only later; None for a task that
        runs no notebook.
    :param parameters: the parameters; None if they are known only when the task runs.
    :param connection: the id of the Airflow connection.
    :param outputs: the names or the types of the values that it returns; None if there are none.
    :param runs_notebook: whether it has a notebook of its own; a task that waits for a run of another has none.
    :param error: why the task cannot be created; empty if it can.
    """

    notebook: Any
    parameters: Any
    connection: Any
    outputs: Any = None
    runs_notebook: bool = True
    error: str = ""

    @property
    def entry(self) -> CatalogEntry | None:
        """The notebook of the catalog, if it is one."""
        return self.notebook if isinstance(self.notebook, CatalogEntry) else None


@dataclass(frozen=True, slots=True)
class FoundTask:
    """A task of this package.

    :param dag: its DAG.
    :param task_id: its id.
    :param operator: the name of its class, or of its decorator.
    :param class_name: the name of its class.
    :param is_mapped: whether it is mapped.
    :param variants: what it runs.
    """

    dag: Any
    task_id: str
    operator: str
    class_name: str
    is_mapped: bool
    variants: tuple[Variant, ...]


def tasks_of(dag: Any) -> Iterator[FoundTask]:
    """The tasks of this package in a DAG, also mapped and decorated ones."""
    for task in dag.tasks:
        operator = getattr(task, "operator_class", type(task))
        if isinstance(operator, type) and issubclass(operator, _CLASSES):
            is_mapped = operator is not type(task)
            arguments = _mapped(task) if is_mapped else [_arguments(task)]
            expanded = (each for every in arguments for each in in_mapped_groups(every))
            name = getattr(operator, "custom_operator_name", operator.__name__)
            variants = tuple(_variant(each, dag, operator) for each in islice(expanded, MAX_VARIANTS))
            yield FoundTask(dag, task.task_id, name, operator.__name__, is_mapped, variants)


def _arguments(task: Any) -> dict[str, Any]:
    """The arguments of a task that is not mapped."""
    outputs = getattr(task, "output_types", None) or getattr(task, "outputs", None)
    return {**{name: getattr(task, name, None) for name in _NAMES}, "outputs": outputs}


def _mapped(task: Any) -> Iterator[dict[str, Any]]:
    """The arguments of each task that a mapped one stands for, as far as they stand in the DAG file."""
    common = own_arguments(task)
    own = {name: common[name] for name in _NAMES if name in common}
    expanded = getattr(task.expand_input, "value", None)
    if _has_own_constructor(task.operator_class):
        # It alone knows which notebook belongs to its arguments.
        for each in expansions(expanded, None):
            yield _built(task, each) if all(map(is_written, each.values())) else own
        return
    for each in expansions(expanded, _NAMES):
        yield {**own, **each}


def _has_own_constructor(operator: type) -> bool:
    first = next(each for each in operator.__mro__ if "__init__" in vars(each))
    return not first.__module__.startswith("airflow_provider_datalore.")


def _built(task: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of one task of a mapped one, as its constructor sets them."""
    try:
        return _arguments(task.unmap(dict(arguments)))
    except Exception as error:
        return {"error": f"{type(error).__name__}: {one_line(str(error))}"}


def _variant(arguments: Mapping[str, Any], dag: Any, operator: type) -> Variant:
    parameters = arguments.get("parameters")
    if parameters is None:
        # A decorated function returns them when the task runs.
        is_known = issubclass(operator, _WITH_PARAMETERS) and not issubclass(operator, DecoratedOperator)
        parameters = {} if is_known else None
    connection = arguments.get("datalore_conn_id") or defaults.CONN_ID
    return Variant(
        notebook=_rendered(arguments.get("notebook_id"), dag),
        parameters=parameters,
        connection=_rendered(connection, dag),
        outputs=arguments.get("outputs"),
        runs_notebook=not issubclass(operator, DataloreRunSensor | DataloreDownloadArtifactsOperator),
        error=arguments.get("error", ""),
    )


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
