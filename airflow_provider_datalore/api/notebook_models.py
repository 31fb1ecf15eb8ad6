"""The models of Datalore's Notebook API: the kernel, the cells and the files of a notebook.

Source: https://github.com/JetBrains/datalore-skills/tree/main/skills/datalore-notebook/references
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field, field_validator

from airflow_provider_datalore.api.models import FROM_JSON, Lenient, clean
from airflow_provider_datalore.api.text import one_line

KERNEL_BUSY = "BUSY"
KERNEL_NOT_STARTED = "NOT_STARTED"
WAITING_STATUS = "WAITING"
ACTIVE_STATUSES = frozenset({"STARTED", "WAITING", "PROCESSING_OUTPUT"})
ENDED_STATUSES = frozenset({"VALID", "WARNING", "ERROR"})
FAILED_STATUS = "ERROR"


class JsonModel(BaseModel):
    """JSON from Datalore."""

    model_config = FROM_JSON


class Kernel(JsonModel):
    """What the kernel of a notebook is doing.

    :param state: ``NOT_STARTED``, ``READY`` or ``BUSY``. A kernel that is starting or has died is ``READY`` as well.
    :param running_cell_id: the cell that is running.
    """

    state: str
    running_cell_id: str | None = None

    _clean = field_validator("state", "running_cell_id")(clean)

    @property
    def is_busy(self) -> bool:
        """Whether a cell is running or waiting to run."""
        return self.state == KERNEL_BUSY


class Timing(JsonModel):
    """The time of the last execution of a cell."""

    duration_ms: float | None = None
    last_executed_at: str | None = None

    _clean = field_validator("last_executed_at")(clean)

    def ended_at(self, now: float) -> float | None:
        """The end of the execution, in epoch seconds of Datalore's clock; None if Datalore does not report it.

        It is not documented whether ``lastExecutedAt`` is the start or the end: the later possible time is returned.

        :param now: the current time, in epoch seconds.
        """
        try:
            moment = datetime.fromisoformat(self.last_executed_at or "")
            reported = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
        end = reported + (self.duration_ms or 0) / 1000
        return end if end <= now else reported


class Cell(JsonModel):
    """A cell, and the result of its last execution.

    :param cell_type: ``CODE``, ``SQL``, ``CONTROL`` or ``MARKDOWN``.
    :param worksheet: the worksheet that it is on, counted from 0.
    :param position: its position on the worksheet, counted from 0.
    :param data: details that depend on its type; for a control ``{"control": {…}}``.
    """

    cell_id: str
    cell_type: Lenient[str] = ""
    worksheet: Lenient[int] = 0
    position: Lenient[int] = 0
    source: Lenient[str] = ""
    execution_status: str = "NONE"
    execution_count: Lenient[int | None] = None
    timing: Lenient[Timing | None] = None
    data: Lenient[Mapping[str, Any]] = Field(default_factory=dict)

    _clean = field_validator("cell_id", "cell_type", "execution_status")(clean)

    @property
    def runs(self) -> bool:
        """Whether a run of the notebook executes it: whether it contains code."""
        return self.cell_type in ("CODE", "SQL") and bool(self.source.strip())

    @property
    def runs_by_itself(self) -> bool:
        """Whether it is executed if the cells of the notebook are run one by one: if it contains code, or a control."""
        return self.runs or self.cell_type == "CONTROL"

    def as_executed(self) -> dict[str, Any]:
        """What XCom ``run`` has of a cell that was executed, as JSON: not its code."""
        return self.model_dump(mode="json", exclude={"source", "data"})

    @property
    def place(self) -> tuple[int, int]:
        """Where it is in the notebook, to compare it with other cells."""
        return self.worksheet, self.position

    @property
    def label(self) -> str:
        """Its number for users, and its worksheet if that is not the first."""
        return f"cell {self.position + 1}" + (f" of worksheet {self.worksheet + 1}" if self.worksheet else "")

    @property
    def language(self) -> str:
        """Its language, such as ``python`` or ``sql``; empty if Datalore does not report it."""
        language = "sql" if self.cell_type == "SQL" else self.data.get("language")
        return one_line(language)[:50].lower() if isinstance(language, str) else ""

    @property
    def control(self) -> Mapping[str, Any] | None:
        """Its control; None if it is not a control cell."""
        control = self.data.get("control")
        return control if self.cell_type == "CONTROL" and isinstance(control, Mapping) else None

    @property
    def is_active(self) -> bool:
        """Whether it is running or waiting to run."""
        return self.execution_status in ACTIVE_STATUSES

    @property
    def has_ended(self) -> bool:
        """Whether its last execution has ended, successfully or not."""
        return self.execution_status in ENDED_STATUSES

    @property
    def has_failed(self) -> bool:
        """Whether its last execution ended in an error."""
        return self.execution_status == FAILED_STATUS


class CellOutput(JsonModel):
    """One output of a cell, in the order in which it made them.

    :param output_type: ``TEXT`` for printed text, ``HTML``, ``TABLE``, ``PLOT`` or another type.
    :param text: its content, which Datalore cuts after 100,000 characters; None of an image.
    :param truncated: whether it was cut.
    """

    output_type: Lenient[str] = ""
    text: Lenient[str | None] = None
    truncated: Lenient[bool] = False


class CellOutcome(JsonModel):
    """The state of a cell's execution, what it printed, and its error.

    Datalore cuts stdout, stderr and the traceback after 10,000 characters each.

    :param execution_status: as in :class:`Cell`; ``TIMEOUT`` if a request that runs the cell did not wait for its end;
        empty if Datalore does not report it.
    :param execution_count: the number of the execution.
    :param timing: its time and duration.
    :param stdout_truncated: whether stdout was cut.
    :param stderr_truncated: whether stderr was cut.
    :param error_traceback_truncated: whether the traceback was cut.
    :param outputs: all that it made, also what is not printed text.
    """

    execution_status: Lenient[str] = ""
    execution_count: Lenient[int | None] = None
    timing: Lenient[Timing | None] = None
    stdout: str | None = None
    stderr: str | None = None
    error_message: str | None = None
    error_traceback: str | None = None
    stdout_truncated: Lenient[bool] = False
    stderr_truncated: Lenient[bool] = False
    error_traceback_truncated: Lenient[bool] = False
    outputs: Lenient[tuple[CellOutput, ...]] = ()

    _clean = field_validator("execution_status")(clean)

    def apply_to(self, cell: Cell) -> Cell:
        """The cell with the state of this execution."""
        names = ("execution_status", "execution_count", "timing")
        return cell.model_copy(update={name: getattr(self, name) for name in names})

    @property
    def printed(self) -> tuple[str, ...]:
        """What the cell printed to stdout and to stderr, each with a note at its end if Datalore cut it."""
        streams = (("stdout", self.stdout, self.stdout_truncated), ("stderr", self.stderr, self.stderr_truncated))
        return tuple(_noted(text, name, cut=cut) for name, text, cut in streams if text)

    @property
    def printed_so_far(self) -> tuple[str, bool]:
        """What it printed to stdout and stderr, in that order where Datalore returns it, and whether it was cut."""
        texts = [output for output in self.outputs if output.output_type == "TEXT" and output.text]
        if texts or not (self.stdout or self.stderr):
            return "".join(output.text or "" for output in texts), any(output.truncated for output in texts)
        text = "\n".join(part.rstrip("\n") for part in (self.stdout, self.stderr) if part)
        is_line = (self.stderr or self.stdout or "").endswith("\n")
        return text + ("\n" if is_line else ""), self.stdout_truncated or self.stderr_truncated

    @property
    def traceback(self) -> str:
        """The traceback, with a note at its end if Datalore cut it; empty if there is none."""
        return _noted(self.error_traceback or "", "the traceback", cut=self.error_traceback_truncated)


def _noted(text: str, what: str, *, cut: bool) -> str:
    return f"{text}\n[Datalore cut {what} here, after {len(text):,} characters]" if cut else text


class NotebookFile(JsonModel):
    """A file or folder of a notebook.

    :param name: without its folder.
    :param type: ``FILE``, ``FOLDER`` or another type of folder.
    :param file_size: in bytes.
    :param last_modified: in epoch milliseconds.
    """

    name: str
    type: str = "FILE"
    file_size: int | None = None
    last_modified: float | None = None
