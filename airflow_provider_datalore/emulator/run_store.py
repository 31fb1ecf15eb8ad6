"""Knows what is remembered of runs, and keeps it on disk so that no run is ever forgotten."""

from __future__ import annotations

import logging
import secrets
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from .library import NotebookId, write_atomically

log = logging.getLogger(__name__)

UpdateReport = Literal["never", "on success"]


def now() -> datetime:
    """This moment, aware of its time zone."""
    return datetime.now(UTC)


class Run(BaseModel):
    """One run of a notebook, from the moment it was asked for."""

    run_id: str = Field(default_factory=lambda: secrets.token_hex(16))
    user: str
    owner: str
    notebook: str
    parameters: dict[str, Any] = {}
    update_report: UpdateReport = "never"
    direct_file_storage_write: bool = False
    asked: datetime = Field(default_factory=now)
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
        """What the executed copy is called."""
        return f"{self.notebook}.ipynb"

    @property
    def state(self) -> str:
        """How it goes, in one word."""
        if self.ended:
            return "succeeded" if self.success else "failed"
        return "running" if self.started else "queued"

    def end(self, failure: str | None) -> None:
        """Note that the run is over.

        :param failure: what went wrong, None for success.
        """
        self.ended, self.success, self.failure = now(), failure is None, failure


class RunStore:
    """Every run there ever was, each in a folder of its own.

    :param folder: where the runs are kept; those of an earlier emulator are read at once, and the ones that
        it left unfinished are ended as failed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        self._runs = {run.run_id: run for run in sorted(_read(folder), key=lambda run: run.asked)}
        for run in self:
            shutil.rmtree(self.scratch(run), ignore_errors=True)
            if run.ended is None:
                run.end("The emulator stopped before the run ended")
                self.save(run)

    def __iter__(self) -> Iterator[Run]:
        # A copy: pages iterate in threads of their own, while runs are added.
        return iter(list(self._runs.values()))

    def get(self, run_id: str) -> Run | None:
        """The run of that id, None when there is none."""
        return self._runs.get(run_id)

    def save(self, run: Run) -> None:
        """Keep what is known of the run now."""
        self._runs[run.run_id] = run
        write_atomically(self.folder / run.run_id / "run.json", run.model_dump_json(indent=1))

    def scratch(self, run: Run) -> Path:
        """Where the run's cells execute, if it is isolated."""
        return self.folder / run.run_id / "files"

    def executed_copy(self, run: Run) -> Path:
        """Where the run's executed notebook is, or will be."""
        return self.folder / run.run_id / "artifacts" / run.file_name


def _read(folder: Path) -> Iterator[Run]:
    for path in folder.glob("*/run.json"):
        run = Run.model_validate_json(path.read_bytes())
        # The id is where the run's files are: one that somebody wrote could lead anywhere.
        if run.run_id == path.parent.name:
            yield run
        else:
            log.warning("%s is ignored: it tells of the run %s", path, run.run_id)
