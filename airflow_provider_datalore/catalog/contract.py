"""Whether parameters fit the controls that the lock file knows: before a run is spent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_datalore.api.values import is_param

if TYPE_CHECKING:
    from airflow_provider_datalore.catalog.controls import LockedControl
    from airflow_provider_datalore.exceptions import DataloreConfigurationError


class LockedNotebook(Protocol):
    """What the lock file knows of a notebook; see :class:`.CatalogEntry`."""

    name: str
    knows_controls: bool

    @property
    def controls(self) -> Mapping[str, LockedControl]: ...


def check_written(entry: LockedNotebook, parameters: object) -> None:
    """Check the parameters that stand in the DAG file; others are checked when the task runs.

    :raises DataloreConfigurationError: names the notebook, the control, the value and what the control accepts.
    """
    if not isinstance(parameters, Mapping):
        return
    for _, problem in problems(entry, parameters):
        raise problem


def problems(entry: LockedNotebook, parameters: Mapping[Any, Any]) -> Iterable[tuple[str, DataloreConfigurationError]]:
    """What does not fit among the parameters that stand in the DAG file, with their names."""
    for name, value in parameters.items():
        if is_written(name) and (problem := _problem(entry, name, value, written=True)) is not None:
            yield str(name), problem


def typed(entry: LockedNotebook, parameters: object) -> Any:
    """The parameters of a run that is about to be started, each in the type of its control.

    :param parameters: after templates were rendered. What is not a mapping is left to the checks of each run.
    :raises DataloreConfigurationError: as :func:`check_written`.
    """
    if not isinstance(parameters, Mapping):
        return parameters
    values: dict[Any, Any] = {}
    for name, value in parameters.items():
        if (problem := _problem(entry, name, value, written=False)) is not None:
            from airflow_provider_datalore.run_state import RunState

            raise problem.set_state(RunState.NOT_STARTED)
        control = entry.controls.get(name)
        values[name] = value if control is None else control.typed(value)
    return values


def is_written(value: object) -> bool:
    """Whether a value stands in the DAG file, and is not a template or a reference to what is known only later."""
    if isinstance(value, str):
        return not any(mark in value for mark in ("{{", "{%", "{#"))
    if hasattr(value, "iter_references") or is_param(value):
        return False
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(is_written, value))
    if isinstance(value, Mapping):
        return all(map(is_written, value.values()))
    return True


def _problem(entry: LockedNotebook, name: object, value: object, *, written: bool) -> DataloreConfigurationError | None:
    """What is wrong with one parameter; None if nothing is, or if it cannot be known."""
    if not entry.knows_controls:
        return None
    control = entry.controls.get(name) if isinstance(name, str) else None
    if control is None:
        from airflow_provider_datalore.exceptions import DataloreConfigurationError

        return DataloreConfigurationError(
            f"Notebook {entry.name!r} has no control with variable {name!r:.200}.\nIt has {_listed(entry)}.",
            to_do="Correct the name; or, if the notebook was edited, run `airflow-datalore lock`.",
        )
    if written and not is_written(value):
        return None
    from airflow_provider_datalore.catalog.controls import NotAcceptedError

    try:
        control.typed(value, is_written=written)
    except NotAcceptedError as error:
        from airflow_provider_datalore.api.text import one_line, shorten
        from airflow_provider_datalore.exceptions import DataloreConfigurationError

        return DataloreConfigurationError(
            f"Parameter {name!r} of notebook {entry.name!r} is {shorten(one_line(repr(value)))}.\n"
            f"Its control ({control}) does not accept this value: it must be {error}."
        )
    return None


def _listed(entry: LockedNotebook) -> str:
    described = [_described(control) for control in entry.controls.values()]
    return ", ".join(described) if described else "no controls"


def _described(control: LockedControl) -> str:
    return f"{control.variable!r} ({control})"
