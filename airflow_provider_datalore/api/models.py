"""The models of Datalore's Run API: a run, its artifacts, and the options of a request for one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias, TypedDict, TypeVar

from pydantic import BaseModel, ConfigDict, ValidatorFunctionWrapHandler, WrapValidator, field_validator
from pydantic_core import PydanticUseDefault

from airflow_provider_datalore.api.notebook_id import NotebookId
from airflow_provider_datalore.api.text import one_line, storable
from airflow_provider_datalore.exceptions import DataloreRunFailedError, RunState
from airflow_provider_datalore.wording import short_id, short_notebook

__all__ = ["Artifact", "NotebookId", "Run", "RunOptions"]


class RunOptions(TypedDict, total=False):
    """Options of a run; Datalore's defaults apply to those that are not set.

    ``parameters``: values by the *Variable* of the notebook's controls: strings, numbers, booleans, dates, lists of
    these; None keeps the notebook's own value. ``update_report``: ``"on success"`` updates the published report if the
    run succeeds, ``"never"`` does not; Datalore's default is ``"never"``. ``direct_file_storage_write``: whether the
    run writes to the notebook's own files (Datalore 2026.1 and later); Datalore's default is False.
    """

    parameters: Mapping[str, Any] | None
    update_report: str | None
    direct_file_storage_write: bool | None


def _in_camel_case(name: str) -> str:
    # pydantic's own does this with patterns, whose compilation would take a millisecond of each start of a task.
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


FROM_JSON = ConfigDict(
    alias_generator=_in_camel_case,
    extra="ignore",
    frozen=True,
    hide_input_in_errors=True,
    validate_by_alias=True,
    validate_by_name=True,
)
"""Configures models of Datalore's JSON, where names are in camelCase. Unknown fields are ignored."""


def _or_default(value: object, read: ValidatorFunctionWrapHandler) -> object:
    try:
        return read(value)
    except ValueError:
        raise PydanticUseDefault from None


def _in_utc(value: object, read: ValidatorFunctionWrapHandler) -> datetime:
    moment: datetime = read(value)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is outside the range of a datetime") from None


def clean(value: object) -> object:
    """A short text that messages contain, such as an id or a status, so that it can be shown within a line."""
    return one_line(str(storable(value))) if isinstance(value, str) else value


Value = TypeVar("Value")
Lenient: TypeAlias = Annotated[Value, WrapValidator(_or_default)]
"""An optional field: if its value cannot be read, it has its default, and the other fields are not affected."""
UtcDatetime: TypeAlias = Annotated[datetime, WrapValidator(_in_utc)]
"""A timezone-aware time in UTC; a time without a zone is assumed to be UTC."""


class Artifact(BaseModel):
    """A file that a run created.

    :param name: its file name, such as ``analysis.ipynb``.
    :param path: its path on Datalore's host, as Datalore returned it (not percent-encoded).
    """

    model_config = FROM_JSON

    name: str
    path: str


class Run(BaseModel):
    """A run of a notebook as Datalore reports it.

    Only ``run_id`` is always set. Times are timezone-aware, in UTC. ``success`` is valid once the run has ended;
    ``status`` is Datalore's status of a run that has not ended.

    Source: https://www.jetbrains.com/help/datalore/run-api.html
    """

    model_config = FROM_JSON

    run_id: str
    notebook_id: Lenient[str | None] = None
    user_id: Lenient[str | None] = None
    start_time: Lenient[UtcDatetime | None] = None
    end_time: UtcDatetime | None = None
    success: bool | None = None
    status: Lenient[str | None] = None
    update_report: Lenient[str | None] = None
    direct_file_storage_write: Lenient[bool | None] = None
    artifacts: tuple[Artifact, ...] = ()
    read_only: Lenient[bool | None] = None

    _clean = field_validator("run_id", "notebook_id", "user_id", "status", "update_report")(clean)

    @field_validator("end_time", mode="before")
    @classmethod
    def _empty_is_absent(cls, value: object) -> object:
        return value or None

    @field_validator("artifacts", mode="before")
    @classmethod
    def _only_whole_artifacts(cls, value: object) -> object:
        if not isinstance(value, (list, tuple)):
            return ()
        return [entry for entry in value if isinstance(entry, Artifact) or _is_artifact(entry)]

    @property
    def is_finished(self) -> bool:
        """Whether the run has ended, successfully or not: it has an end time, or success, artifacts and no status."""
        return self.end_time is not None or (self.success is True and bool(self.artifacts) and not self.status)

    @property
    def reported_status(self) -> str:
        """Datalore's status of a run that has not ended, for messages."""
        return f"status {self.status!r:.100}" if self.status else "no status and no end time"

    @property
    def succeeded(self) -> bool:
        """Whether the run has ended and Datalore reports success."""
        return self.is_finished and self.success is True

    @property
    def duration(self) -> float | None:
        """How long it ran, in seconds; None if Datalore does not report both times."""
        if self.start_time is None or self.end_time is None:
            return None
        return (self.end_time - self.start_time).total_seconds()

    @property
    def executed_notebook(self) -> Artifact | None:
        """The artifact that is the notebook as it was executed; None if the run has none."""
        return next((artifact for artifact in self.artifacts if artifact.name.endswith(".ipynb")), None)

    def is_of(self, notebook: NotebookId) -> bool:
        """Whether it is a run of this notebook; true if Datalore reports no notebook id, or one without the owner."""
        return self.notebook_id in (None, str(notebook), notebook.id)

    def raise_for_failure(self) -> Run:
        """Return the run itself, unless it failed.

        :raises DataloreRunFailedError: if it ended without success.
        """
        if self.is_finished and not self.succeeded:
            raise DataloreRunFailedError(
                f"Run {short_id(self.run_id)} of {short_notebook(self.notebook_id or '(id unknown)')} failed.\n"
                f"Run {self.run_id} of notebook {self.notebook_id or '(id unknown)'} failed in Datalore: it "
                f"{self._times()} with success={self.success}.",
                to_do=f"Look at its artifact {self.artifacts[0].name!r}, which shows how far it got."
                if self.artifacts
                else "Open the notebook in Datalore to see why: the run left no artifact.",
                run=self,
                state=RunState.FAILED,
            )
        return self

    def _times(self) -> str:
        """The times of the finished run, for messages."""
        form = "%Y-%m-%d %H:%M:%S"
        if self.end_time is None:
            return "ended at an unknown time"
        if self.start_time is None:
            return f"ended at {self.end_time:{form}} UTC"
        seconds = round((self.end_time - self.start_time).total_seconds())
        lasted = "1 second" if seconds == 1 else f"{seconds} seconds"
        return f"ran from {self.start_time:{form}} to {self.end_time:{form}} UTC, {lasted},"

    def to_json(self) -> dict[str, Any]:
        """The run as JSON, as XCom ``run`` holds it: these field names, times as ISO 8601 in UTC."""
        data: dict[str, Any] = storable(self.model_dump(mode="json"))
        return data


def _is_artifact(entry: object) -> bool:
    return isinstance(entry, Mapping) and all(isinstance(entry.get(key), str) for key in ("name", "path"))
