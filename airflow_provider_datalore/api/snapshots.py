"""The state of a notebook before an interactive run, stored as text, by which any process identifies the run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.api.notebook_models import KERNEL_NOT_STARTED, Cell, Kernel
from airflow_provider_datalore.exceptions import DataloreError, RunState

Fingerprint: TypeAlias = tuple[int | None, str | None, str | None]


_NEVER: Fingerprint = (None, None, None)


@dataclass(frozen=True, slots=True)
class NotebookState:
    """The present state of a notebook.

    :param cells: the cells of all worksheets, in their order.
    :param worksheets: the number of worksheets.
    """

    kernel: Kernel
    cells: tuple[Cell, ...] = ()
    worksheets: int = 1

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


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a notebook right before an interactive run was requested.

    :param notebook: the notebook.
    :param before: the fingerprint of each cell that had been executed, by its id.
    :param required: the ids of the cells that the run must execute.
    :param highest: the highest execution number in this session.
    :param worksheets: the number of worksheets.
    :param controls: the controls that were set for this run, by the id of their cell.
    """

    notebook: NotebookId
    before: Mapping[str, Fingerprint] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    highest: int = 0
    controls: Mapping[str, ControlSeal] = field(default_factory=dict)
    worksheets: int = 1

    @classmethod
    def take(cls, notebook: NotebookId, state: NotebookState, controls: Mapping[str, Mapping[str, Any]]) -> Snapshot:
        """Record the state of a notebook before a run.

        :param controls: the controls that were set for it, by the id of their cell.
        """
        code = tuple(cell.cell_id for cell in state.cells if cell.runs)
        counts = [cell.execution_count or 0 for cell in state.cells]
        return cls(
            notebook,
            before={cell.cell_id: fingerprint(cell) for cell in state.cells if fingerprint(cell) != _NEVER},
            required=code or tuple(cell.cell_id for cell in state.cells if cell.control is not None),
            highest=0 if state.kernel.state == KERNEL_NOT_STARTED else max(counts, default=0),
            controls={cell_id: ControlSeal.of(control) for cell_id, control in controls.items()},
            worksheets=state.worksheets,
        )

    def to_text(self) -> str:
        """The snapshot as text, for Airflow to store."""
        return json.dumps(
            {
                "notebook": [self.notebook.owner, self.notebook.id],
                "before": self.before,
                "required": self.required,
                "highest": self.highest,
                "worksheets": self.worksheets,
                "controls": {key: [seal.variable, seal.fields, seal.digest] for key, seal in self.controls.items()},
            },
            separators=(",", ":"),
        )

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
                controls={
                    str(key): ControlSeal(str(variable), tuple(fields), str(digest))
                    for key, (variable, fields, digest) in data["controls"].items()
                },
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
        return fingerprint(cell) != self.before.get(cell.cell_id, _NEVER)


def fingerprint(cell: Cell) -> Fingerprint:
    """Identifies one execution of a cell: by its number and time or, if a server reports neither, by its status."""
    at = cell.timing.last_executed_at if cell.timing is not None else None
    if cell.execution_count is None and at is None:
        return None, None, cell.execution_status if cell.has_ended else None
    return cell.execution_count, at, None
