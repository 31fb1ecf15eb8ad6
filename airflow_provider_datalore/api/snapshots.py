"""The state of a notebook before an interactive run, stored as text, by which any process identifies the run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias

from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.api.notebook_models import KERNEL_NOT_STARTED, Cell, Kernel
from airflow_provider_datalore.exceptions import DataloreError, RunState

Fingerprint: TypeAlias = tuple[int | None, str | None, str | None]


NEVER_EXECUTED: Fingerprint = (None, None, None)
"""Of a cell without an execution."""


@dataclass(frozen=True, slots=True)
class NotebookState:
    """The present state of a notebook.

    :param cells: the cells of all worksheets, in their order.
    :param worksheets: the number of worksheets.
    """

    kernel: Kernel
    cells: tuple[Cell, ...] = ()
    worksheets: int = 1

    def quiet_for(self, now: float) -> float | None:
        """Seconds since the last execution of a cell; None if Datalore does not report it.

        Negative if Datalore's clock is ahead.

        :param now: the current time, in epoch seconds.
        """
        ends = [cell.timing.ended_at(now) for cell in self.cells if cell.timing is not None]
        latest = max((end for end in ends if end is not None), default=None)
        return None if latest is None else now - latest

    def on(self, worksheet: int) -> tuple[Cell, ...]:
        """The cells of one worksheet."""
        return tuple(cell for cell in self.cells if cell.worksheet == worksheet)

    def worksheet_of(self, cell_id: str | None) -> int | None:
        """The worksheet of a cell; None if there is no such cell."""
        return next((cell.worksheet for cell in self.cells if cell.cell_id == cell_id), None)


@dataclass(frozen=True, slots=True)
class ControlSeal:
    """Identifies the value of a control without storing it: the value may be secret, and many users can read what is
    stored.

    :param variable: the variable that the control sets.
    :param fields: the names of the control's fields.
    :param digest: a digest of their values.
    """

    variable: str
    fields: tuple[str, ...]
    digest: str

    @classmethod
    def of(cls, control: Mapping[str, Any]) -> ControlSeal:
        """The seal of a control as it is now."""
        fields = tuple(sorted(control))
        return cls(str(control.get("variable")), fields, _digest(control, fields))

    def is_on(self, control: Mapping[str, Any]) -> bool:
        """Whether the control still has the value of this seal."""
        return _digest(control, self.fields) == self.digest


def _digest(control: Mapping[str, Any], fields: tuple[str, ...]) -> str:
    text = json.dumps([control.get(name) for name in fields], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def source_digest(cell: Cell) -> str:
    """Identifies what a cell executes: its code and language, and for a control its value, which may be secret."""
    text = json.dumps([cell.cell_type, cell.source, cell.language, cell.control], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class Kept:
    """Cells that an earlier try executed, and that a resumed run does not execute again.

    :param first: the number of the first one, counted from 1 among the cells that run.
    :param last: the number of the last one.
    :param try_number: the try of the task that executed them.
    :param at: when that try began to run the notebook, in epoch seconds.
    """

    first: int
    last: int
    try_number: int
    at: float

    def __str__(self) -> str:
        """Such as ``cells 1 to 7 are of try 1, 02:14 UTC``."""
        moment = datetime.fromtimestamp(self.at, UTC)
        cells = f"cells {self.first} to {self.last} are" if self.last > self.first else f"cell {self.first} is"
        return f"{cells} of try {self.try_number}, {moment:%H:%M} UTC"


def resumed_words(kept: Sequence[Kept], total: int) -> str:
    """Where a run was resumed: ``resumed at cell 8 of 12; cells 1 to 7 are of try 1, 02:14 UTC``."""
    return "; ".join([f"resumed at cell {kept[-1].last + 1} of {total}", *map(str, kept)])


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a notebook right before an interactive run was requested.

    :param notebook: the notebook.
    :param before: the fingerprint of each cell that had been executed, by its id.
    :param required: the ids of the cells that the run must execute.
    :param highest: the highest execution number in this session.
    :param worksheets: the number of worksheets.
    :param controls: the controls that were set for this run, by the id of their cell.
    :param by_cell: whether the task runs the cells one by one; ``required`` has them in this order then.
    :param kernel_started: whether the kernel had been started.
    :param sources: what identifies the code of each cell that must be executed, see :func:`source_digest`; only of a
        run cell by cell.
    :param try_number: the try of the task that began the run.
    :param began: when it began, in epoch seconds; 0 if unknown.
    :param kept: the cells that earlier tries executed, if the run was resumed: they count as executed.
    :param secret: the variables whose values Airflow masks: what cells print is shown without them.
    """

    notebook: NotebookId
    before: Mapping[str, Fingerprint] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    highest: int = 0
    controls: Mapping[str, ControlSeal] = field(default_factory=dict)
    worksheets: int = 1
    by_cell: bool = False
    kernel_started: bool = False
    sources: Mapping[str, str] = field(default_factory=dict)
    try_number: int = 1
    began: float = 0.0
    kept: tuple[Kept, ...] = ()
    secret: tuple[str, ...] = ()

    @property
    def kept_cells(self) -> int:
        """How many cells of earlier tries count as executed, from the first on."""
        return self.kept[-1].last if self.kept else 0

    def resumption(self) -> dict[str, Any]:
        """What :class:`.InteractiveRun` says of a resumed run, as arguments; empty if it was not resumed."""
        if not self.kept:
            return {}
        words = resumed_words(self.kept, len(self.required))
        return {"resumed_at": self.kept_cells + 1, "kept": self.kept_cells, "resumed": words}

    @classmethod
    def take(cls, notebook: NotebookId, state: NotebookState, controls: Mapping[str, Mapping[str, Any]]) -> Snapshot:
        """Record the state of a notebook before a run.

        :param controls: the controls that were set for it, by the id of their cell.
        """
        code = tuple(cell.cell_id for cell in state.cells if cell.runs)
        counts = [cell.execution_count or 0 for cell in state.cells]
        return cls(
            notebook,
            before={cell.cell_id: fingerprint(cell) for cell in state.cells if fingerprint(cell) != NEVER_EXECUTED},
            required=code or tuple(cell.cell_id for cell in state.cells if cell.control is not None),
            highest=0 if state.kernel.state == KERNEL_NOT_STARTED else max(counts, default=0),
            controls={cell_id: ControlSeal.of(control) for cell_id, control in controls.items()},
            worksheets=state.worksheets,
        )

    def cell_by_cell(self, state: NotebookState, *, try_number: int, began: float) -> Snapshot:
        """The same snapshot, for a task that runs the cells one by one, those of controls too.

        :param state: the notebook, of which this is a snapshot.
        :param try_number: the try of the task.
        :param began: when it begins, in epoch seconds.
        """
        planned = {cell.cell_id: source_digest(cell) for cell in state.cells if cell.runs_by_itself}
        return replace(
            self,
            required=tuple(planned),
            by_cell=True,
            kernel_started=state.kernel.state != KERNEL_NOT_STARTED,
            sources=planned,
            try_number=try_number,
            began=began,
        )

    def to_text(self) -> str:
        """The snapshot as text, for Airflow to store."""
        data: dict[str, Any] = {
            "notebook": [self.notebook.owner, self.notebook.id],
            "before": self.before,
            "required": self.required,
            "highest": self.highest,
            "worksheets": self.worksheets,
            "controls": {key: [seal.variable, seal.fields, seal.digest] for key, seal in self.controls.items()},
        }
        if self.secret:
            data["secret"] = self.secret
        if self.by_cell:
            data["by_cell"] = {
                "kernel_started": self.kernel_started,
                "sources": self.sources,
                "try": self.try_number,
                "began": self.began,
                "kept": [[kept.first, kept.last, kept.try_number, kept.at] for kept in self.kept],
            }
        return json.dumps(data, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: object) -> Snapshot:
        """Read what :meth:`to_text` wrote.

        :raises DataloreError: if it is not such a text.
        """
        try:
            data = json.loads(str(text))
            owner, notebook = data["notebook"]
            return cls(
                NotebookId(str(owner), str(notebook)),
                before={str(key): (count, at, status) for key, (count, at, status) in data["before"].items()},
                required=tuple(map(str, data["required"])),
                highest=int(data["highest"]),
                worksheets=int(data.get("worksheets", 1)),
                secret=tuple(map(str, data.get("secret", ()))),
                controls={
                    str(key): ControlSeal(str(variable), tuple(fields), str(digest))
                    for key, (variable, fields, digest) in data["controls"].items()
                },
                **_by_cell(data.get("by_cell")),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataloreError(
                f"The stored snapshot of an interactive run cannot be read.\n{error!r:.200}: {text!r:.200}",
                to_do="Look at the notebook in Datalore. Workers and triggerers must have the same version of "
                "airflow-provider-datalore.",
                state=RunState.UNKNOWN,
            ) from None

    def has_run(self, cell: Cell) -> bool:
        """Whether an execution of the cell has ended since this snapshot, successfully or not."""
        return cell.has_ended and self.has_changed(cell)

    def has_changed(self, cell: Cell) -> bool:
        """Whether an execution of the cell has started since this snapshot."""
        return fingerprint(cell) != self.before.get(cell.cell_id, NEVER_EXECUTED)


def _by_cell(data: Any) -> dict[str, Any]:
    """The fields of a run cell by cell, as arguments; empty for any other run."""
    if data is None:
        return {}
    return {
        "by_cell": True,
        "kernel_started": bool(data["kernel_started"]),
        "sources": {str(key): str(digest) for key, digest in data["sources"].items()},
        "try_number": int(data["try"]),
        "began": float(data["began"]),
        "kept": tuple(Kept(int(first), int(last), int(number), float(at)) for first, last, number, at in data["kept"]),
    }


def fingerprint(cell: Cell) -> Fingerprint:
    """Identifies one execution of a cell: by its number and time or, if a server reports neither, by its status."""
    at = cell.timing.last_executed_at if cell.timing is not None else None
    if cell.execution_count is None and at is None:
        return None, None, cell.execution_status if cell.has_ended else None
    return cell.execution_count, at, None
