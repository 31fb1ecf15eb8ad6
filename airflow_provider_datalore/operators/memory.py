"""Which run a task has started, kept across its tries where Airflow can (3.3 and later)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore.exceptions import DataloreNotFoundError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datalore.hooks.datalore import DataloreHook

KEY = "datalore_run"

log = logging.getLogger(__name__)


class RunMemory:
    """The run that this task has started and whose outcome it has not delivered yet.

    Airflow keeps what is stored here when a task is retried and also when it succeeds and is cleared; so a run must
    be forgotten as soon as its outcome is delivered, or clearing the task would not run the notebook again.

    :param context: the context of the task.
    :param durable: whether to remember anything at all.

    Source: https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/task-state-store.html
    """

    def __init__(self, context: Context, durable: bool) -> None:
        self._store: Any = context.get("task_state_store") if durable else None

    def remember(self, notebook_id: str, run_id: str, *, without: Sequence[str] | None = None) -> None:
        """Store the run, right after Datalore named it.

        :param without: outputs of which it lacks one, once that is known.
        """
        if self._store is None:
            return
        stored: dict[str, Any] = {"notebook_id": notebook_id, "run_id": run_id}
        if without is not None:
            stored["without"] = list(without)
        try:
            self._store.set(KEY, stored)
        except Exception as error:
            # The run goes on either way; a store that fails must not fail the task too.
            log.warning("The run of %s could not be stored, so a retry would start another: %s", notebook_id, error)

    def find_run(
        self, hook: DataloreHook, notebook_id: str, outputs: Sequence[str] | None, max_outage: float
    ) -> str | None:
        """The run that an earlier try of this task started, if it is still of use: it goes on, or went well.

        :param outputs: what is wanted of it; a run that lacks one of just these is of no use.
        :param max_outage: for how many seconds Datalore may be unreachable.
        """
        run_id = self.recall(notebook_id, outputs)
        if run_id is None:
            return None
        try:
            run = hook.get_run(run_id, max_outage=max_outage)
        except DataloreNotFoundError:
            log.warning("An earlier try started run %s, which Datalore does not know any more.", run_id)
            return None
        if run.is_finished and not run.succeeded:
            log.info("Run %s of an earlier try failed; the notebook is run anew.", run_id)
            return None
        log.info("Going on with run %s, which an earlier try started; durable=False starts a new one.", run_id)
        return run_id

    def recall(self, notebook_id: str, outputs: Sequence[str] | None = None) -> str | None:
        """What was stored for a notebook and is not delivered yet; see :meth:`find_run`."""
        stored = self._store.get(KEY) if self._store is not None else None
        if not isinstance(stored, dict) or stored.get("notebook_id") != notebook_id:
            return None
        run_id = stored.get("run_id")
        if outputs is not None and stored.get("without") == list(outputs):
            log.info("Run %s of an earlier try lacks an output; the notebook is run anew.", run_id)
            return None
        return run_id if isinstance(run_id, str) else None

    def forget(self) -> None:
        """Drop the run: its outcome has been delivered."""
        if self._store is None:
            return
        try:
            self._store.delete(KEY)
        except Exception as error:
            log.warning("The run that was delivered could not be forgotten: clearing the task may find it: %s", error)
