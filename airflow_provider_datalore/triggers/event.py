"""The one event with which a trigger ends: the finished run, or the error that ended the wait."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from airflow_provider_datalore import exceptions
from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.exceptions import DataloreError

VERSION = 1


def finished(run: Run) -> dict[str, Any]:
    """The event for a run that has ended, well or not."""
    return {"version": VERSION, "run": run.to_json()}


def failed(error: DataloreError) -> dict[str, Any]:
    """The event for a wait that ended without a finished run."""
    fields = {
        name: value.to_json() if isinstance(value, Run) else value
        for name, value in vars(error).items()
        if value is None or isinstance(value, (str, int, float, bool, Run))
    }
    return {"version": VERSION, "error": type(error).__name__, "fields": fields}


def read(event: object) -> Run:
    """The finished run that the event tells of.

    :raises DataloreError: the error that the event tells of; also when it is no event of this package, or one
        of a version that is not known, since the outcome of the run is not known then.
    """
    if isinstance(event, dict) and event.get("version") == VERSION:
        if "run" in event:
            try:
                return Run.model_validate(event["run"])
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
