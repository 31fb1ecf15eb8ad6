"""The parts of one emulator, and what its endpoints share."""

from __future__ import annotations

from .access import Access, Right
from .errors import RefusedError
from .faults import RULE_LIST, FaultRules
from .ids import NotebookId
from .library import Library
from .rendering import Reports
from .request_log import RequestLog
from .run_store import Run, RunStore
from .runner import Runner
from .sessions import Sessions
from .settings import Settings


class Emulator:
    """The parts of a local Datalore, created from its settings and shared by all requests."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.variant = settings.variant
        self.access = Access(settings.tokens, settings.viewers, settings.no_access)
        self.library = Library(settings.notebooks, settings.data)
        self.run_store = RunStore(settings.data / "runs")
        self.reports = Reports(settings.data / "reports")
        self.request_log = RequestLog()
        self.faults = FaultRules(RULE_LIST.validate_python(settings.faults))
        self.runner = Runner(self.library, self.run_store, self.reports, self._max_parallel_runs)
        self.sessions = Sessions(self.runner.slots, self.runner.spawn, self.request_log, lambda: self.variant)

    def _max_parallel_runs(self) -> int:
        return self.variant.parallel_limit or self.settings.max_parallel_runs

    async def reset(self) -> None:
        """End and forget all runs, sessions and reports, and return to the settings."""
        self.faults.replace(RULE_LIST.validate_python(self.settings.faults))
        self.variant = self.settings.variant
        self.access.tokens = dict(self.settings.tokens)
        # A request may start something while the loop waits for the end of something else.
        while self.runner.is_busy or self.sessions.exist:
            await self.runner.stop()
            await self.sessions.close()
        self.run_store.clear()
        self.reports.clear()
        self.request_log.clear()

    def is_read_only(self, run: Run) -> bool:
        """Whether the run's user may now only view its notebook."""
        return self.access.right(run.user, run.notebook_id) is not Right.EDIT

    def has_artifact(self, run: Run) -> bool:
        """Whether the run left an executed notebook."""
        return self.run_store.executed_copy(run).exists()

    def run_of(self, user: str, run_id: str) -> Run:
        """A run that the user started.

        :raises RefusedError: 404, the user has no such run.
        """
        run = self.run_store.get(run_id)
        if run is None or run.user != user:
            raise RefusedError(404, f"There is no run {run_id}")
        return run

    def editable(self, user: str, notebook_id: str) -> NotebookId:
        """The notebook with this id, which the user may edit and run.

        :raises RefusedError: 404, the notebook does not exist or is not shared with the user; 403, the user may only
            view it.
        """
        notebook = NotebookId.parse(notebook_id)
        right = Right.NONE
        if notebook is not None and self.library.find(notebook) is not None:
            right = self.access.right(user, notebook)
        if notebook is None or right is Right.NONE:
            raise RefusedError(404, f"There is no notebook {notebook_id}, or it is not shared with you")
        if right is Right.VIEW:
            raise RefusedError(403, f"You may only view the notebook {notebook_id}")
        return notebook
