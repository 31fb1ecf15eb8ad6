"""The event with which a trigger ends: the finished run, the note that the notebook is idle, or an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from airflow_provider_datalore import exceptions
from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.api.text import storable
from airflow_provider_datalore.exceptions import DataloreError, RunState

if TYPE_CHECKING:
    from airflow_provider_datalore.api.interactive import InteractiveRun

EVENT_VERSION = 1

_IDLE_BEFORE = "free"
"""The key of an event for an idle notebook that an earlier version has sent; an upgrade may find one stored."""

_TEXTS = frozenset({"state", "state_words", "notebook_url", "to_do", "cause"})
_KNOWN = _TEXTS | {"permanent"}
"""Attributes that an error has only where they are known."""

_Model = TypeVar("_Model", bound=BaseModel)


def finished(run: Run) -> dict[str, Any]:
    """The event for a run that has ended, successfully or not."""
    return {"version": EVENT_VERSION, "run": run.to_json()}


def interactive_finished(run: InteractiveRun) -> dict[str, Any]:
    """The event for an interactive run that has ended, successfully or not."""
    return {"version": EVENT_VERSION, "interactive_run": run.to_json()}


def idle() -> dict[str, Any]:
    """The event for a notebook in which nothing is running."""
    return {"version": EVENT_VERSION, "idle": True}


def failed(error: DataloreError) -> dict[str, Any]:
    """The event for a wait that ended without a finished run."""
    fields = {
        name: value.to_json() if isinstance(value, Run) else value.value if isinstance(value, RunState) else value
        for name, value in vars(error).items()
        if value is None or isinstance(value, (str, int, float, bool, Run))
    }
    return {"version": EVENT_VERSION, "error": type(error).__name__, "fields": storable(fields)}


def read(event: object) -> Run:
    """Read the finished run from an event.

    :raises DataloreError: the error that the event reports; also if the event is not from this package, or from an
        unknown version of it: the outcome of the run cannot be determined then.
    """
    return _read(event, "run", Run)


def read_interactive(event: object) -> InteractiveRun:
    """Read the interactive run from an event.

    :raises DataloreError: as in :func:`read`.
    """
    from airflow_provider_datalore.api.interactive import InteractiveRun

    return _read(event, "interactive_run", InteractiveRun)


def read_idle(event: object) -> None:
    """Return if the event reports that nothing is running in the notebook.

    :raises DataloreError: as in :func:`read`.
    """
    from pydantic import RootModel

    is_former = isinstance(event, dict) and _IDLE_BEFORE in event
    _read(event, _IDLE_BEFORE if is_former else "idle", RootModel[Literal[True]])


def _read(event: object, key: str, model: type[_Model]) -> _Model:
    if isinstance(event, dict) and event.get("version") == EVENT_VERSION:
        if key in event:
            try:
                return model.model_validate(event[key])
            except ValidationError:
                pass
        elif isinstance(event.get("fields"), dict):
            raise _read_error(event.get("error"), event["fields"])
    raise DataloreError(
        f"The trigger sent an event that this version of airflow-provider-datalore does not know.\n{event!r:.300}",
        to_do="Look at the notebook in Datalore before you run it again: the outcome of the run cannot be determined. "
        "Workers and triggerers must have the same version of the package.",
    )


def _read_error(name: object, fields: dict[str, Any]) -> DataloreError:
    error_class = getattr(exceptions, name, None) if isinstance(name, str) else None
    if not (isinstance(error_class, type) and issubclass(error_class, DataloreError)):
        error_class = DataloreError
    error = error_class(str(fields.get("message", "The trigger reported no reason.")))
    for field in (vars(error).keys() | _KNOWN) & fields.keys() - {"message"}:
        value = fields[field]
        if field in _TEXTS and not isinstance(value, str):
            continue
        if field == "state":
            value = RunState(value) if value in list(RunState) else RunState.UNKNOWN
        if field == "run" and value is not None:
            try:
                value = Run.model_validate(value)
            except ValidationError:
                value = None
        setattr(error, field, value)
    return error
