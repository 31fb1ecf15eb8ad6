"""The parts of one emulator, and what its endpoints share."""

from __future__ import annotations

from .access import Access, Right
from .errors import RefusedError
from .faults import RULE_LIST, FaultRules
from .file_areas import FileAreas
from .ids import NotebookId
from .library import Library
from .rendering import Reports
from .request_log import RequestLog
from .run_store import Run, RunStore
from .runner import Runner
from .scopes import Caller
from .session_registry import Sessions
from .settings import Settings, Variant
from .tree import NotebookFile


class Emulator:
    """The parts of a local Datalore, created from its settings and shared by all requests."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._variant = settings.variant
        self.access = Access(settings.tokens, settings.viewers, settings.no_access, settings.limits)
        self.library = Library(settings.notebooks, settings.data)
        self.run_store = RunStore(settings.data / "runs")
        self.reports = Reports(settings.data / "reports")
        self.file_areas = FileAreas(self.library, settings.data)
        self.request_log = RequestLog()
        self.faults = FaultRules(RULE_LIST.validate_python(settings.faults))
        self.runner = Runner(
            self.library, self.run_store, self.reports, settings.max_parallel_runs, settings.abandoned_after
        )
        self.variant = settings.variant
        self.sessions = Sessions(self.runner.slots, self.runner.spawn, self.request_log, lambda: self.variant)

    @property
    def variant(self) -> Variant:
        """The variant of Datalore that is simulated now."""
        return self._variant

    @variant.setter
    def variant(self, variant: Variant) -> None:
        self._variant = variant
        self.runner.slots.resize(variant.parallel_limit or self.settings.max_parallel_runs)

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
        self.file_areas.clear()
        self.request_log.clear()

    def is_read_only(self, run: Run) -> bool:
        """Whether the run's user may now only view its notebook."""
        return self.access.right(run.user, run.notebook_id) is not Right.EDIT

    def has_artifact(self, run: Run) -> bool:
        """Whether the run left an executed notebook."""
        return self.run_store.executed_copy(run).exists()

    def run_of(self, caller: Caller, run_id: str) -> Run:
        """A run that the user started.

        :raises RefusedError: 404, the user has no such run; 403, the token is for another notebook.
        """
        run = self.run_store.get(run_id)
        if run is None or run.user != caller.user:
            raise RefusedError(404, f"There is no run {run_id}")
        self._check_own(caller, run.notebook_id)
        return run

    async def stop_run(self, run_id: str) -> None:
        """Stop a run of any user and wait for its end. A run that has ended stays as it is.

        :raises RefusedError: 404, there is no such run.
        """
        run = self.run_store.get(run_id)
        if run is None:
            raise RefusedError(404, f"There is no run {run_id}")
        await self.runner.stop_run(run)

    def editable(self, caller: Caller, notebook_id: str) -> NotebookFile:
        """The notebook with this id, which the user may edit and run.

        :raises RefusedError: 404, the notebook does not exist or is not shared with the user; 403, the user may only
            view it, or the token is for another notebook.
        """
        wanted = NotebookId.parse(notebook_id)
        notebook = None if wanted is None else self.library.find(wanted)
        if notebook is None:
            titled = self.library.titled(notebook_id)
            hint = f"; the notebook with this name has the id {titled.id}" if titled is not None else ""
            raise RefusedError(404, f"There is no notebook {notebook_id}, or it is not shared with you{hint}")
        self._check_own(caller, notebook.id)
        right = self.access.right(caller.user, notebook.id)
        if right is Right.NONE:
            raise RefusedError(404, f"There is no notebook {notebook_id}, or it is not shared with you")
        if right is Right.VIEW:
            raise RefusedError(403, f"You may only view the notebook {notebook_id}")
        return notebook

    def _check_own(self, caller: Caller, notebook: NotebookId) -> None:
        """Refuse a token that is for another notebook only."""
        only = caller.limits.notebook
        if only is not None and only != notebook:
            status = int(self.variant.notebook_token_elsewhere)
            raise RefusedError(status, f"The token is for the notebook {only} only, not for {notebook}")
