"""Stores runs on disk, so that they outlive a restart."""

from __future__ import annotations

import logging
import secrets
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from .ids import NotebookId
from .library import write_atomically

log = logging.getLogger(__name__)

UpdateReport = Literal["never", "on success"]


def now() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)


class Run(BaseModel):
    """One run of a notebook."""

    run_id: str = Field(default_factory=lambda: secrets.token_hex(16))
    user: str
    owner: str
    notebook: str
    title: str = ""
    parameters: dict[str, Any] = {}
    update_report: UpdateReport = "never"
    direct_file_storage_write: bool = False
    submitted: datetime = Field(default_factory=now)
    started: datetime | None = None
    ended: datetime | None = None
    success: bool | None = None
    failure: str | None = None

    @property
    def notebook_id(self) -> NotebookId:
        """The notebook that runs."""
        return NotebookId(self.owner, self.notebook)

    @property
    def file_name(self) -> str:
        """The name of the executed copy."""
        return f"{self.title or self.notebook}.ipynb"

    @property
    def state(self) -> str:
        """The state in one word."""
        if self.ended:
            return "succeeded" if self.success else "failed"
        return "running" if self.started else "queued"

    def end(self, failure: str | None) -> None:
        """Set the end of the run.

        :param failure: the reason of the failure, None for success.
        """
        self.ended, self.success, self.failure = now(), failure is None, failure


class RunStore:
    """All runs, each in its own folder.

    :param folder: the folder for the runs. The runs of an earlier process are read from it; those that had not ended
        are marked as failed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        self._runs = {run.run_id: run for run in sorted(_read(folder), key=lambda run: run.submitted)}
        for run in self:
            shutil.rmtree(self.scratch(run), ignore_errors=True)
            if run.ended is None:
                run.end("The emulator stopped before the run ended")
                self.save(run)

    def __iter__(self) -> Iterator[Run]:
        # A copy: pages iterate in threads while runs are added.
        return iter(list(self._runs.values()))

    def get(self, run_id: str) -> Run | None:
        """The run with this id, None if it does not exist."""
        return self._runs.get(run_id)

    def save(self, run: Run) -> None:
        """Write the run to disk."""
        self._runs[run.run_id] = run
        write_atomically(self.folder / run.run_id / "run.json", run.model_dump_json(indent=1))

    def clear(self) -> None:
        """Forget all runs and delete their files. None of them may be executing."""
        self._runs.clear()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)

    def scratch(self, run: Run) -> Path:
        """The folder in which the cells of an isolated run execute."""
        return self.folder / run.run_id / "files"

    def executed_copy(self, run: Run) -> Path:
        """The file of the run's executed notebook, which exists once the run has ended."""
        return self.folder / run.run_id / "artifacts" / run.file_name


def _read(folder: Path) -> Iterator[Run]:
    for path in folder.glob("*/run.json"):
        run = Run.model_validate_json(path.read_bytes())
        # The id is used as a path: one from a manipulated file could lead anywhere.
        if run.run_id == path.parent.name:
            yield run
        else:
            log.warning("Ignoring %s: it contains the run %s", path, run.run_id)
