"""What an interactive run waits for: that it is over and, before it starts, that nothing else runs in the notebook."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from airflow_provider_datalore.api.conditions import ProgressLog, after, format_moment
from airflow_provider_datalore.api.interactive import Stage, check_own, stage
from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.api.notebook_models import KERNEL_NOT_STARTED
from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot
from airflow_provider_datalore.exceptions import DataloreInteractiveRunTimeoutError, DataloreKernelLostError

IDLE_GRACE = 15.0
"""Seconds for which nothing may run although cells are left, as between two cells or while a kernel boots."""

RESULT_GRACE = 2.0
"""Seconds that a task has, beyond its poll interval, to see the outcome of its run before another one starts."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class InteractiveRunEnded:
    """An interactive run is over, well or not.

    :param snapshot: the notebook as it was before.
    :param start_timeout: within how many seconds the first cell must run.
    :param where: where an error tells people to look, such as the notebook's address.
    """

    snapshot: Snapshot
    start_timeout: float
    where: str
    _begun: bool = field(default=False, init=False)
    _idle_since: float | None = field(default=None, init=False)
    _progress: ProgressLog = field(default_factory=ProgressLog, init=False)

    def is_met(self, seen: NotebookState, last: NotebookState | None, waited: float) -> bool:
        """Whether the run is over.

        :raises DataloreKernelLostError: if it never began, or does not continue.
        :raises DataloreRunOverlapError: if the notebook may show the results of another run.
        """
        reached = stage(self.snapshot, seen)
        changed = last is None or (reached, seen.kernel) != (stage(self.snapshot, last), last.kernel)
        if self._progress.is_due(waited, changed=changed):
            state = reached.value
            if seen.kernel.running_cell_id:
                state += f", cell {seen.kernel.running_cell_id}"
            log.info("The interactive run of notebook %s %s%s.", self.snapshot.notebook, state, after(waited))
        if reached in (Stage.SUCCEEDED, Stage.FAILED):
            check_own(self.snapshot, seen)
            return True
        self._begun = self._begun or reached is not Stage.NOT_BEGUN
        if reached is Stage.RUNNING or (last is not None and self._executed(seen) != self._executed(last)):
            self._idle_since = None
        elif self._begun:
            self._check_idle(seen, waited)
        elif waited > self.start_timeout:
            raise DataloreKernelLostError(
                f"No cell of notebook {self.snapshot.notebook} ran within {self.start_timeout:g} s (start_timeout): "
                f"its kernel is {seen.kernel.state}. Check at {self.where} whether its machine starts; if it needs "
                "more time, raise start_timeout."
            )
        return False

    def tolerates_not_found(self, last: NotebookState | None, waited: float) -> bool:
        """A notebook that Datalore does not know will not appear."""
        return False

    def timeout_error(self, last: NotebookState | None, deadline: float) -> DataloreInteractiveRunTimeoutError:
        """The run may still be running after the deadline."""
        reached = stage(self.snapshot, last).value if last is not None else "was never seen"
        return DataloreInteractiveRunTimeoutError(
            f"The interactive run of notebook {self.snapshot.notebook} had not ended when the task's time limit passed "
            f"at {format_moment(deadline)}; it {reached}. See {self.where}. If it needs more time, raise the time "
            "limit of the task."
        )

    def _executed(self, view: NotebookState) -> set[str]:
        return {cell.cell_id for cell in view.cells if self.snapshot.has_run(cell)}

    def _check_idle(self, seen: NotebookState, waited: float) -> None:
        if self._idle_since is None:
            self._idle_since = waited
        if waited - self._idle_since < IDLE_GRACE:
            return
        missing = [cell for cell in seen.cells if cell.cell_id in self.snapshot.required]
        missing = [cell for cell in missing if not self.snapshot.has_run(cell)]
        cause = (
            "its session was stopped"
            if seen.kernel.state == KERNEL_NOT_STARTED
            else "its kernel died, or was restarted by somebody (Datalore does not report which)"
        )
        first = f", cell {missing[0].position + 1} first" if missing else ""
        raise DataloreKernelLostError(
            f"The interactive run of notebook {self.snapshot.notebook} has stopped: nothing has run for "
            f"{waited - self._idle_since:.0f} s, and {len(missing)} of {len(self.snapshot.required)} cells have not run"
            f"{first}. Probably {cause}; a kernel that runs out of memory dies in this way. See "
            f"{self.where}."
        )


@dataclass(slots=True)
class NotebookIdle:
    """Nothing runs in a notebook, and nothing ran a moment ago, so that the task may run it.

    Another task may not have seen the outcome of its run yet: it looks every ``poll_interval`` seconds.

    :param notebook: the notebook.
    :param where: where an error tells people to look, such as the notebook's address.
    :param quiet: for how many seconds nothing may have run.
    :param clock: where the time comes from.
    """

    notebook: NotebookId
    where: str
    quiet: float
    clock: Callable[[], float] = time.time
    _free_since: float | None = field(default=None, init=False)
    _was_busy: bool = field(default=False, init=False)

    @classmethod
    def for_turn(cls, notebook: NotebookId, where: str, poll_interval: float) -> NotebookIdle:
        """The condition of a task, if all tasks that run the notebook have the same ``poll_interval``."""
        return cls(notebook, where, quiet=poll_interval + RESULT_GRACE)

    def is_met(self, seen: NotebookState, last: NotebookState | None, waited: float) -> bool:
        """Whether the task may run the notebook."""
        if seen.kernel.is_busy:
            if last is None:
                log.info("Notebook %s is busy; waiting until it is idle.", self.notebook)
            self._free_since, self._was_busy = None, True
            return False
        if self._free_since is None:
            self._free_since = waited
        age = self._age(seen)
        if self._was_busy or (age is not None and age < 0):
            # Datalore's clock is ahead of this one, or reports nothing: count what was seen here.
            return waited - self._free_since >= self.quiet
        return age is None or age >= self.quiet

    def _age(self, seen: NotebookState) -> float | None:
        """How many seconds ago the last cell was executed; None if that is not seen."""
        now = self.clock()
        ends = [cell.timing.ended_at(now) for cell in seen.cells if cell.timing is not None]
        latest = max((end for end in ends if end is not None), default=None)
        return None if latest is None else now - latest

    def tolerates_not_found(self, last: NotebookState | None, waited: float) -> bool:
        """A notebook that Datalore does not know will not appear."""
        return False

    def timeout_error(self, last: NotebookState | None, deadline: float) -> DataloreInteractiveRunTimeoutError:
        """The notebook was still busy at the deadline."""
        return DataloreInteractiveRunTimeoutError(
            f"Notebook {self.notebook} was busy until the task's time limit passed at {format_moment(deadline)}, so "
            f"this task has not run it. See {self.where}. To wait longer, raise the time limit of the task."
        )
