"""What a run cell by cell left when a cell failed, and whether a later try may resume at that cell.

Datalore does not document how to recognize a kernel. What is taken for proof that the kernel still holds what the cells
before the failed one computed is in :meth:`Left.why_not`, and in docs/howto/cell-by-cell.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from airflow_provider_datalore.api.interactive import InteractiveRun
from airflow_provider_datalore.api.notebook_models import KERNEL_NOT_STARTED, Cell
from airflow_provider_datalore.api.snapshots import (
    NEVER_EXECUTED,
    ControlSeal,
    Fingerprint,
    Kept,
    NotebookState,
    Snapshot,
    fingerprint,
    source_digest,
)


@dataclass(frozen=True, slots=True)
class Left:
    """What a failed run left in the notebook.

    :param snapshot: the notebook before that run.
    :param failed: the id of the cell that failed.
    :param executed: what identifies the execution of each cell before it, in their order.
    :param edited: those of them that were edited while the notebook ran: what they executed is not certain.
    :param highest: the highest execution number of that run.
    """

    snapshot: Snapshot
    failed: str
    executed: Mapping[str, Fingerprint] = field(default_factory=dict)
    edited: tuple[str, ...] = ()
    highest: int = 0

    @classmethod
    def of(cls, snapshot: Snapshot, run: InteractiveRun, state: NotebookState) -> Left:
        """What a failed run leaves.

        :param state: the notebook after it.
        """
        cells = [Cell.model_validate(each) for each in run.cells]
        present = {cell.cell_id: source_digest(cell) for cell in state.cells}
        return cls(
            snapshot,
            failed=run.failed_cell_id or "",
            executed={cell.cell_id: fingerprint(cell) for cell in cells if cell.cell_id != run.failed_cell_id},
            edited=tuple(
                cell.cell_id
                for cell in cells
                if cell.cell_id != run.failed_cell_id
                and present.get(cell.cell_id) != snapshot.sources.get(cell.cell_id)
            ),
            highest=max((cell.execution_count or 0 for cell in cells), default=0),
        )

    def to_text(self) -> str:
        """As text, for Airflow to store."""
        data = {
            "snapshot": self.snapshot.to_text(),
            "failed": self.failed,
            "executed": self.executed,
            "edited": self.edited,
            "highest": self.highest,
        }
        return json.dumps(data, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Left | None:
        """Read what :meth:`to_text` wrote; None if it is not such a text."""
        try:
            data = json.loads(text)
            return cls(
                Snapshot.from_text(data["snapshot"]),
                str(data["failed"]),
                {str(key): (count, at, status) for key, (count, at, status) in data["executed"].items()},
                tuple(map(str, data["edited"])),
                int(data["highest"]),
            )
        except Exception:
            return None

    def why_not(self, state: NotebookState) -> str:
        """Why a run may not resume at the failed cell, as words that follow "since"; empty if it may.

        :param state: the notebook now.
        """
        return next(self._reasons(state), "")

    def _reasons(self, state: NotebookState) -> Iterator[str]:
        cells = {cell.cell_id: cell for cell in state.cells}
        plan = [cell.cell_id for cell in state.cells if cell.runs_by_itself]
        names = {cell_id: f"cell {number} of {len(plan)}" for number, cell_id in enumerate(plan, 1)}
        if not self.executed:
            yield "no cell succeeded before the one that failed"
        if state.kernel.state == KERNEL_NOT_STARTED:
            yield "the kernel is not running any more: its session was stopped"
        if self.failed not in plan:
            yield "the cell that failed is no longer in the notebook"
        elif plan[: plan.index(self.failed)] != list(self.executed):
            yield "cells before the one that failed were added, deleted or moved"
        for cell_id in self.executed:
            if source_digest(cells[cell_id]) != self.snapshot.sources.get(cell_id):
                yield f"{names[cell_id]}, which is before the one that failed, was edited"
            if cell_id in self.edited:
                yield f"{names[cell_id]}, which is before the one that failed, was edited while the notebook ran"
        lost = [cell_id for cell_id in self.executed if fingerprint(cells[cell_id]) == NEVER_EXECUTED]
        if lost:
            yield f"the kernel is another one: {names[lost[0]]} has not been executed in it"
        for cell_id, left in self.executed.items():
            if left[0] is None and left[1] is None:
                continue
            if fingerprint(cells[cell_id]) != left or not cells[cell_id].has_ended:
                yield f"{names[cell_id]}, which is before the one that failed, was executed again by another"
        if all(left[0] is None for left in self.executed.values()):
            yield "Datalore reports no execution numbers, by which the kernel is recognized"

    def resumed(
        self,
        state: NotebookState,
        controls: Mapping[str, Mapping[str, object]],
        *,
        highest: int,
        try_number: int,
        began: float,
    ) -> Snapshot:
        """The snapshot for a run that resumes at the failed cell: the cells before it count as executed.

        :param state: the notebook now.
        :param controls: the controls of the run, by the id of their cell.
        :param highest: the highest execution number so far.
        :param try_number: the try of the task.
        :param began: when it begins, in epoch seconds.
        """
        earlier = self.snapshot
        done = len(self.executed)
        kept = earlier.kept
        if done > earlier.kept_cells:
            kept = (*kept, Kept(earlier.kept_cells + 1, done, earlier.try_number, earlier.began))
        fresh = Snapshot.take(earlier.notebook, state, {}).cell_by_cell(state, try_number=try_number, began=began)
        before = {key: found for key, found in fresh.before.items() if key not in self.executed}
        before |= {key: found for key, found in earlier.before.items() if key in self.executed}
        sources = {**fresh.sources, **{key: earlier.sources[key] for key in self.executed}}
        seals = {cell_id: ControlSeal.of(dict(control)) for cell_id, control in controls.items()}
        return replace(fresh, before=before, sources=sources, highest=highest, kept=kept, controls=seals)
