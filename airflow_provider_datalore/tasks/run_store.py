"""Which run a task has started, kept across its tries where Airflow can (3.3 and later)."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore.api.conditions import NEW_RUN_GRACE
from airflow_provider_datalore.exceptions import DataloreNotFoundError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datalore.hooks.datalore import DataloreHook

log = logging.getLogger(__name__)


def fingerprint(*asked: object) -> str:
    """By what it is known whether the same is asked for; the values themselves are not kept, and may be secret."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()


class RunStore:
    """The run that this task has started and whose outcome it has not delivered yet.

    Airflow keeps what is stored here when a task is retried and also when it succeeds and is cleared; so a run must
    be forgotten as soon as its outcome is delivered, or clearing the task would not run the notebook again.

    A retry goes on with it whatever it asks for, since a template may well say something else at each try. A task that
    was cleared does so only if it asks for the same: whoever corrects a parameter and clears the task wants that run.

    :param context: the context of the task.
    :param durable: whether to remember anything at all.
    :param key: under which name.

    Source: https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/task-state-store.html
    """

    def __init__(self, context: Context, durable: bool, key: str = "datalore_run") -> None:
        self._store: Any = context.get("task_state_store") if durable else None
        self._key = key
        # Airflow allows a task more tries whenever it is cleared, and at no other time.
        self._max_tries: object = getattr(context["ti"], "max_tries", None)

    def remember(self, notebook_id: str, run_id: str, asked: str) -> None:
        """Store the run, right after Datalore named it.

        :param asked: the :func:`fingerprint` of what was asked for.
        """
        self._keep({"notebook_id": notebook_id, "run_id": run_id, "asked": asked, "max_tries": self._max_tries})

    def note_missing(self, outputs: Sequence[str] | None) -> None:
        """Store that the run lacks one of these outputs."""
        if outputs is not None and (stored := self._stored()):
            self._keep({**stored, "without": list(outputs)})

    def find_run(
        self,
        hook: DataloreHook,
        notebook_id: str,
        outputs: Sequence[str] | None,
        max_outage: float,
        asks: Callable[[], str],
    ) -> str | None:
        """The run that an earlier try of this task started, if it is still of use: it goes on, or went well.

        :param outputs: what is wanted of it; a run that lacks one of just these is of no use.
        :param max_outage: for how many seconds Datalore may be unreachable.
        :param asks: the :func:`fingerprint` of what is asked for now.
        """
        run_id = self.recall(notebook_id, asks, outputs)
        if run_id is None:
            return None
        try:
            # One that was started a moment ago may not be listed yet.
            run = hook.get_run(run_id, max_outage=max_outage, grace=NEW_RUN_GRACE)
        except DataloreNotFoundError:
            log.warning("An earlier try started run %s, which Datalore does not know any more.", run_id)
            return None
        if run.is_finished and not run.succeeded:
            log.info("Run %s of an earlier try failed; the notebook is run anew.", run_id)
            return None
        log.info("Going on with run %s, which an earlier try started; durable=False starts a new one.", run_id)
        return run_id

    def recall(self, notebook_id: str, asks: Callable[[], str], outputs: Sequence[str] | None = None) -> str | None:
        """What was stored for a notebook and is not delivered yet; see :meth:`find_run`."""
        stored = self._stored()
        if stored.get("notebook_id") != notebook_id:
            return None
        run_id = stored.get("run_id")
        if stored.get("max_tries", self._max_tries) != self._max_tries:
            if stored.get("asked") != asks():
                log.warning(
                    "Run %s of an earlier try was asked for with other parameters or options, and the task was cleared "
                    "since: the notebook is run anew. If that run goes on, it does so beside the new one.",
                    run_id,
                )
                return None
            # What comes after this try is a retry of it.
            self._keep({**stored, "max_tries": self._max_tries})
        if outputs is not None and stored.get("without") == list(outputs):
            log.info("Run %s of an earlier try lacks an output; the notebook is run anew.", run_id)
            return None
        return run_id if isinstance(run_id, str) else None

    def forget(self) -> None:
        """Drop the run: its outcome has been delivered."""
        if self._store is None:
            return
        try:
            self._store.delete(self._key)
        except Exception as error:
            log.warning("The run that was delivered could not be forgotten: clearing the task may find it: %s", error)

    def _stored(self) -> dict[str, Any]:
        stored = self._store.get(self._key) if self._store is not None else None
        return stored if isinstance(stored, dict) else {}

    def _keep(self, stored: dict[str, Any]) -> None:
        if self._store is None:
            return
        try:
            self._store.set(self._key, stored)
        except Exception as error:
            # The run goes on either way; a store that fails must not fail the task too.
            log.warning(
                "The run of %s could not be stored, so a retry would start another: %s", stored["notebook_id"], error
            )
