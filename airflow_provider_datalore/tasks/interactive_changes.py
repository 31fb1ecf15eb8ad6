"""Finds out what has changed since the last interactive run of a task that succeeded, when one has failed.

The code is kept when the run starts, and carried on in XCom ``history`` if it succeeds: so nothing is read for a
success, and no request is sent for a comparison.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore import xcom
from airflow_provider_datalore.notebooks.changes import Changes, compare_parameters
from airflow_provider_datalore.notebooks.stored_code import (
    StoredCell,
    compare,
    duration_ratio,
    from_text,
    to_text,
    with_seconds,
)
from airflow_provider_datalore.tasks.history import History, LastSuccess
from airflow_provider_datalore.tasks.own_xcoms import own_text
from airflow_provider_datalore.tasks.pushing import push_for_tab

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datalore.api.interactive import InteractiveRun
    from airflow_provider_datalore.hooks.notebook import DataloreNotebook

log = logging.getLogger(__name__)


def keep_code(notebook: DataloreNotebook, context: Context) -> None:
    """Keep the code that is going to run, as it was read last, without secrets. Never fails."""
    try:
        push_for_tab(context, xcom.CODE, to_text(_cells_of(notebook)))
    except Exception as error:
        log.debug("Could not keep the code of the notebook: %s", error)


def duration_of(run: InteractiveRun) -> float | None:
    """Seconds that the cells of a run took together; None if Datalore does not report it."""
    seconds = _seconds_by_id(run)
    return round(sum(seconds.values()), 1) if seconds else None


def history_after(
    run: InteractiveRun, earlier: History, context: Context, parameters: Mapping[str, Any] | None
) -> History:
    """The history with this run, which has ended. Never fails.

    :param parameters: its parameters, masked; None if unknown.
    """
    if not run.success:
        return earlier
    try:
        cells = with_seconds(from_text(own_text(context, xcom.CODE)), _seconds_by_id(run))
        code = to_text(cells)
    except Exception as error:
        log.debug("Could not read the code of the notebook: %s", error)
        code = ""
    return earlier.after_success(LastSuccess("", datetime.now(UTC), parameters, code), duration_of(run))


def since_last_success(
    run: InteractiveRun,
    notebook: DataloreNotebook,
    context: Context,
    last: LastSuccess | None,
    parameters: Mapping[str, Any] | None,
) -> Changes | None:
    """What has changed since the last run of this task that succeeded; None if nothing can be compared. Never fails.

    :param run: the run that failed.
    :param last: the last run that succeeded; None if there is none.
    :param parameters: the parameters of the failed run, masked; None if unknown.
    """
    if last is None:
        return None
    try:
        return _compared(run, notebook, context, last, parameters)
    except Exception as error:
        log.warning("Could not compare the run with the last one that succeeded: %s", error)
        return None


def _compared(
    run: InteractiveRun,
    notebook: DataloreNotebook,
    context: Context,
    last: LastSuccess,
    parameters: Mapping[str, Any] | None,
) -> Changes:
    changed: tuple[Any, ...] = ()
    if parameters is not None and last.parameters is not None:
        changed = compare_parameters(last.parameters, parameters)
    before = from_text(last.code)
    # The code of a run that an earlier try started was not kept by this one: then as it is now.
    now = from_text(own_text(context, xcom.CODE)) or tuple(_cells_of(notebook))
    if not before or not now:
        reason = "the code of that run was not kept" if not before else "the code of the failed run was not kept"
        return Changes(parameters=changed, succeeded_at=last.ended_at, not_compared=reason)
    timed = with_seconds(now, _seconds_by_id(run))
    return Changes(
        compare(before, now),
        changed,
        succeeded_at=last.ended_at,
        duration_ratio=duration_ratio(before, timed, run.failed_cell_id or ""),
    )


def _cells_of(notebook: DataloreNotebook) -> list[StoredCell]:
    from airflow.providers.common.compat.sdk import redact

    def masked(source: str) -> str:
        without_secrets: Any = redact(notebook.hook.connection.without_token_in(source))
        return str(without_secrets)

    seen = notebook.seen.cells if notebook.seen is not None else ()
    return [
        StoredCell(cell.cell_id, cell.worksheet, cell.position + 1, masked(cell.source)) for cell in seen if cell.runs
    ]


def _seconds_by_id(run: InteractiveRun) -> dict[str, float]:
    """How long each cell of a run took, in seconds, by its id, as far as Datalore reports it."""
    seconds: dict[str, float] = {}
    for cell in run.cells:
        timing, cell_id = cell.get("timing"), cell.get("cell_id")
        took = timing.get("duration_ms") if isinstance(timing, Mapping) else None
        if isinstance(cell_id, str) and isinstance(took, (int, float)) and took >= 0:
            seconds[cell_id] = round(took / 1000, 3)
    return seconds
