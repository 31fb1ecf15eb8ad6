"""Stores the run that a task has started for later tries of the task."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore.defaults import NEW_RUN_GRACE
from airflow_provider_datalore.exceptions import DataloreNotFoundError
from airflow_provider_datalore.tasks.clearing import is_being_cleared

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datalore.api.notebook_id import NotebookId
    from airflow_provider_datalore.hooks.datalore import DataloreHook
    from airflow_provider_datalore.tasks.state_stores import StateStore

log = logging.getLogger(__name__)


def request_digest(*requested: object) -> str:
    """Identifies the arguments of a run; the values themselves, which may be secret, are not stored."""
    return hashlib.sha256(json.dumps(requested, sort_keys=True, default=str).encode()).hexdigest()


class RunStore:
    """Stores the run that this task has started, until the task has delivered its outcome.

    On Airflow 3.3 and later, it is stored in Airflow's task state store; on earlier versions, where option
    ``run_store`` in section ``datalore`` of Airflow's configuration says. If the store fails, a retry runs the notebook
    again; the task does not fail.

    The store is kept when a task is retried, and also when it succeeds and is cleared. So a run must be forgotten as
    soon as its outcome is delivered; otherwise, clearing the task would not run the notebook again.

    A retry uses the stored run whatever its present arguments are, since a template may render differently on each try.
    A task that was cleared uses it only if the arguments are the same: a user who corrects a parameter and clears the
    task expects a run with that parameter.

    :param context: the context of the task.
    :param durable: whether to store the run; if False, nothing is stored or found.
    :param key: the key in the store.

    Source: https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/task-state-store.html
    """

    def __init__(self, context: Context, durable: bool, key: str = "datalore_run") -> None:
        self._task_instance = task_instance = context["ti"]
        self._is_wanted = durable
        self._has_failed = False
        self._saved_run: object = None
        self._is_airflows = context.get("task_state_store") is not None
        self._store = self._open(context) if durable else None
        self._key = key
        # Airflow increases max_tries when a task is cleared, and at no other time; before version 3.1, it does not when
        # the task is running.
        self._max_tries: object = getattr(task_instance, "max_tries", None)
        self._retries: object = getattr(getattr(task_instance, "task", None), "retries", self._max_tries)
        self._try_number: object = getattr(task_instance, "try_number", None)

    @property
    def remembers(self) -> bool:
        """Whether this task remembers its run, so that a retry can use it."""
        return self._store is not None and not self._has_failed

    def _open(self, context: Context) -> StateStore | None:
        own: StateStore | None = context.get("task_state_store")
        if own is not None:
            return own
        from airflow_provider_datalore.tasks.state_stores import open_store

        try:
            return open_store(context)
        except Exception as error:
            self._has_failed = True
            log.warning("The run store cannot be used, so a retry would run the notebook again: %s", error)
            return None

    @property
    def why_not(self) -> str:
        """Why this task does not remember its run, as the end of a sentence; empty if it does."""
        if self.remembers:
            return ""
        if not self._is_wanted:
            return ", since the task has durable=False"
        return ", since the run store failed" if self._has_failed else ", since this Airflow does not remember runs"

    @property
    def stored_run(self) -> str:
        """The run that is stored; empty if there is none. Never fails."""
        try:
            run_id = self._load().get("run_id")
        except Exception as error:
            log.debug("Could not read the stored run: %s", error)
            return ""
        return run_id if isinstance(run_id, str) else ""

    def holds(self, run_id: str) -> bool:
        """Whether this run is stored, so that a retry or a clear uses it. Never fails."""
        return bool(run_id) and run_id in (self._saved_run, self.stored_run if self._saved_run is None else None)

    def remember(self, notebook: NotebookId, run_id: str, requested: str) -> None:
        """Store the run, as soon as Datalore has returned its id.

        :param requested: the :func:`request_digest` of its arguments.
        """
        self._save(
            {
                "notebook_id": str(notebook),
                "run_id": run_id,
                "requested": requested,
                "max_tries": self._max_tries,
            }
        )

    def note_clear(self) -> None:
        """If the task is being killed since it was cleared, store that. Never fails."""
        if self.remembers and is_being_cleared(self._task_instance) and (stored := self._load()):
            self._save({**stored, "is_cleared": True})

    def note_missing(self, outputs: Sequence[str] | None) -> None:
        """Store that the run lacks one of these outputs."""
        if outputs is not None and (stored := self._load()):
            self._save({**stored, "without": list(outputs)})

    def find_run(
        self,
        hook: DataloreHook,
        notebook: NotebookId,
        outputs: Sequence[str] | None,
        max_outage: float,
        requested: Callable[[], str],
    ) -> str | None:
        """The run that an earlier try of this task started, if it is still running or succeeded.

        :param outputs: the requested outputs; a run is not returned if it is known to lack one of them.
        :param max_outage: seconds for which Datalore may be unreachable.
        :param requested: returns the :func:`request_digest` of the present arguments.
        """
        run_id = self.recall(notebook, requested, outputs)
        if run_id is None:
            return None
        try:
            # Datalore may not list a run yet that was started a moment ago.
            run = hook.get_run(run_id, max_outage=max_outage, grace=NEW_RUN_GRACE, contacted=True)
        except DataloreNotFoundError:
            log.warning("An earlier try started run %s, which Datalore no longer knows; starting a new run.", run_id)
            return None
        if not run.is_of(notebook):
            # Users may edit the store.
            log.warning("The stored run %s is not a run of notebook %s; starting a new run.", run_id, notebook)
            return None
        if run.is_finished and not run.succeeded:
            log.info("Run %s of an earlier try failed; starting a new run.", run_id)
            return None
        log.info("Using run %s, which an earlier try started; durable=False would start a new one.", run_id)
        return run_id

    def recall(
        self, notebook: NotebookId, requested: Callable[[], str], outputs: Sequence[str] | None = None
    ) -> str | None:
        """The stored run of a notebook whose outcome is not delivered yet; see :meth:`find_run`."""
        self._note_missing_store()
        if self._try_number == 1:
            self._remove_foreign()
            return None
        stored = self._load()
        if stored.get("notebook_id") != str(notebook):
            return None
        run_id = stored.get("run_id")
        if stored.get("is_cleared") or stored.get("max_tries", self._max_tries) != self._max_tries:
            if stored.get("requested") != requested():
                log.warning(
                    "Run %s of an earlier try was requested with other parameters or options, and the task was cleared "
                    "after that: starting a new run. If the earlier run is still running, both run at the same time.",
                    run_id,
                )
                return None
            # Later tries are retries of this one.
            self._save({**stored, "max_tries": self._max_tries, "is_cleared": False})
        if outputs is not None and stored.get("without") == list(outputs):
            log.info("Run %s of an earlier try lacks an output; starting a new run.", run_id)
            return None
        return run_id if isinstance(run_id, str) else None

    def forget(self) -> None:
        """Remove the run from the store: its outcome has been delivered."""
        if self._store is None:
            return
        try:
            self._store.delete(self._key)
        except Exception as error:
            log.warning(
                "Could not remove the delivered run from the run store. If the task is cleared, it may use this run "
                "again: %s",
                error,
            )

    def _remove_foreign(self) -> None:
        """Remove what is stored before the first try: it is left from a DAG run of the same id that has been deleted.

        Airflow's own store is deleted with the DAG run.
        """
        if self._store is None or self._is_airflows:
            return
        try:
            if self._store.get(self._key) is not None:
                self._store.delete(self._key)
        except Exception as error:
            log.debug("Could not remove what an earlier DAG run of the same id has stored: %s", error)

    def _note_missing_store(self) -> None:
        """Log on the first try that retries run the notebook again, if that can be changed."""
        is_missing = self._is_wanted and self._store is None and not self._has_failed
        if is_missing and self._retries and self._try_number in (None, 1):
            log.info(
                "A retry of this task would run the notebook again: before version 3.3, Airflow has no store for the "
                "run. To let a retry use the run, set option run_store in section [datalore] of Airflow's "
                "configuration, or AIRFLOW__DATALORE__RUN_STORE."
            )

    def _load(self) -> dict[str, Any]:
        if self._store is None:
            return {}
        try:
            stored = self._store.get(self._key)
        except Exception as error:
            log.warning("Could not look up the run of an earlier try in the run store: %s", error)
            return {}
        return stored if isinstance(stored, dict) else {}

    def _save(self, stored: dict[str, Any]) -> None:
        if self._store is None:
            return
        try:
            self._store.set(self._key, stored)
            self._saved_run = stored.get("run_id")
        except Exception as error:
            # The run has started: an error of the store must not fail the task.
            self._has_failed = True
            log.warning(
                "Could not store the run of notebook %s, so a retry would start another run: %s",
                stored["notebook_id"],
                error,
            )
