"""Finds out what has changed since the last run of a task that succeeded, when a run has failed."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore.notebooks.reading import MAX_NOTEBOOK_BYTES, NotANotebookError

if TYPE_CHECKING:
    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.hooks.datalore import DataloreHook
    from airflow_provider_datalore.notebooks.changes import CellChange, Changes
    from airflow_provider_datalore.notebooks.failure import CellFailure
    from airflow_provider_datalore.tasks.history import LastSuccess

COMPARE_TIMEOUT = 15.0
"""Seconds for reading the executed notebook of the last success."""
_STATUS_TIMEOUT = 5.0
"""Seconds of it for reading the status of that run."""

log = logging.getLogger(__name__)


def since_last_success(
    run: Run,
    content: bytes | None,
    failure: CellFailure | None,
    hook: DataloreHook,
    last: LastSuccess | None,
    parameters: Mapping[str, Any] | None,
) -> Changes | None:
    """What has changed since the last run of this task that succeeded; None if nothing can be compared.

    Never fails, and takes at most :data:`COMPARE_TIMEOUT` seconds, so that the run's own failure is always reported.

    :param run: the run that failed.
    :param content: its executed notebook; None if it could not be read.
    :param failure: the cell that failed; None if it is unknown.
    :param last: the last run that succeeded; None if there is none.
    :param parameters: the parameters of the failed run, masked; None if unknown.
    """
    if last is None:
        return None
    try:
        return _compared(run, content, failure, hook, last, parameters)
    except Exception as error:
        log.warning("Could not compare the run with the last one that succeeded, %s: %s", last.run_id, error)
        return None


def _compared(
    run: Run,
    content: bytes | None,
    failure: CellFailure | None,
    hook: DataloreHook,
    last: LastSuccess,
    parameters: Mapping[str, Any] | None,
) -> Changes | None:
    from airflow_provider_datalore.notebooks.changes import (
        Changes,
        compare_cells,
        compare_parameters,
        duration_ratio,
    )

    knows_parameters = parameters is not None and last.parameters is not None
    changes = Changes(run_id=last.run_id, succeeded_at=last.ended_at)
    if parameters is not None and last.parameters is not None:
        changes = replace(changes, parameters=compare_parameters(last.parameters, parameters))
    earlier, reason = (None, "") if content is None else _earlier_notebook(run, hook, last)
    if content is None or earlier is None:
        if reason:
            log.info("The code was not compared with run %s, the last that succeeded: %s", last.run_id, reason)
        reason = reason or "the executed notebook of the failed run could not be read"
        return replace(changes, not_compared=reason) if knows_parameters or reason else None
    return replace(
        changes,
        cells=_masked(compare_cells(earlier, content), hook),
        duration_ratio=duration_ratio(earlier, content, failure.number) if failure is not None else None,
    )


def _earlier_notebook(run: Run, hook: DataloreHook, last: LastSuccess) -> tuple[bytes | None, str]:
    """The executed notebook of the last success, and why it cannot be read."""
    from airflow_provider_datalore.exceptions import DataloreError, DataloreNotFoundError

    deadline = time.monotonic() + COMPARE_TIMEOUT
    try:
        earlier = hook.separate(timeout=_STATUS_TIMEOUT).get_run(last.run_id)
        # Users may edit XComs, from which the run's id comes.
        if earlier.notebook_id != run.notebook_id or earlier.executed_notebook is None:
            return None, "it has no executed notebook"
        left = deadline - time.monotonic()
        content = hook.separate(timeout=left).read_artifact(
            earlier.executed_notebook, max_bytes=MAX_NOTEBOOK_BYTES, within=left
        )
    except DataloreNotFoundError:
        return None, "Datalore no longer has its notebook"
    except DataloreError as error:
        return None, f"its notebook could not be read: {error.summary}"
    if not content.lstrip()[:1] == b"{":
        raise NotANotebookError("its notebook is not JSON")
    return content, ""


def _masked(cells: tuple[CellChange, ...], hook: DataloreHook) -> tuple[CellChange, ...]:
    """The same changes, without the token in any form, and without the secrets that Airflow knows."""
    from airflow.providers.common.compat.sdk import redact

    def masked(lines: tuple[str, ...]) -> tuple[str, ...]:
        without_secrets: Any = redact(hook.connection.without_token_in(list(lines)))
        return tuple(without_secrets)

    return tuple(replace(cell, lines=masked(cell.lines)) for cell in cells)
