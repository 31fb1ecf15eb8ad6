"""The one event with which a trigger ends: the finished run, that it is the task's turn, or the error."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import BaseModel, RootModel, ValidationError

from airflow_provider_datalore import exceptions
from airflow_provider_datalore.api.interactive import InteractiveRun
from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.api.text import storable
from airflow_provider_datalore.exceptions import DataloreError

VERSION = 1

_Told = TypeVar("_Told", bound=BaseModel)


def finished(run: Run) -> dict[str, Any]:
    """The event for a run that has ended, well or not."""
    return {"version": VERSION, "run": run.to_json()}


def interactive_finished(run: InteractiveRun) -> dict[str, Any]:
    """The event for an interactive run that is over, well or not."""
    return {"version": VERSION, "interactive_run": run.to_json()}


def free() -> dict[str, Any]:
    """The event for a notebook in which nothing runs any more."""
    return {"version": VERSION, "free": True}


def failed(error: DataloreError) -> dict[str, Any]:
    """The event for a wait that ended without a finished run."""
    fields = {
        name: value.to_json() if isinstance(value, Run) else value
        for name, value in vars(error).items()
        if value is None or isinstance(value, (str, int, float, bool, Run))
    }
    return {"version": VERSION, "error": type(error).__name__, "fields": storable(fields)}


def read(event: object) -> Run:
    """The finished run that the event tells of.

    :raises DataloreError: the error that the event tells of; also when it is no event of this package, or one
        of a version that is not known, since the outcome of the run is not known then.
    """
    return _read(event, "run", Run)


def read_interactive(event: object) -> InteractiveRun:
    """The interactive run that the event tells of.

    :raises DataloreError: as :func:`read` does.
    """
    return _read(event, "interactive_run", InteractiveRun)


def read_free(event: object) -> None:
    """Return if the event tells that nothing runs in the notebook any more.

    :raises DataloreError: as :func:`read` does.
    """
    _read(event, "free", _Flag)


class _Flag(RootModel[Literal[True]]):
    """It is so."""


def _read(event: object, key: str, model: type[_Told]) -> _Told:
    if isinstance(event, dict) and event.get("version") == VERSION:
        if key in event:
            try:
                return model.model_validate(event[key])
            except ValidationError:
                pass
        elif isinstance(event.get("fields"), dict):
            raise _read_error(event.get("error"), event["fields"])
    raise DataloreError(
        f"The trigger sent an event that this version of airflow-provider-datalore does not know: {event!r:.300}. "
        "What became of the run is not known here; look at the notebook in Datalore before you run it again. "
        "Workers and triggerers must have the same version of the package."
    )


def _read_error(name: object, fields: dict[str, Any]) -> DataloreError:
    error_class = getattr(exceptions, name, None) if isinstance(name, str) else None
    if not (isinstance(error_class, type) and issubclass(error_class, DataloreError)):
        error_class = DataloreError
    error = error_class(str(fields.get("message", "The trigger gave no reason.")))
    for field in vars(error).keys() & fields.keys() - {"message"}:
        value = fields[field]
        if field == "run" and value is not None:
            try:
                value = Run.model_validate(value)
            except ValidationError:
                value = None
        setattr(error, field, value)
    return error
