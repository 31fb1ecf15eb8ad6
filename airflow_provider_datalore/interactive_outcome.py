"""What a task does with an interactive run that is over: the one place where all ways of waiting meet."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from airflow_provider_datalore.exceptions import DataloreInteractiveRunFailedError
from airflow_provider_datalore.outcome import RUN

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datalore.api.interactive import InteractiveRun
    from airflow_provider_datalore.hooks.notebook import DataloreNotebook
    from airflow_provider_datalore.notebooks.failure import CellFailure

INTERRUPTED = "KeyboardInterrupt"

log = logging.getLogger(__name__)


def deliver(run: InteractiveRun, notebook: DataloreNotebook, context: Context) -> InteractiveRun:
    """Hand the run to the pipeline: XCom ``run``, the failure.

    :return: the run, if it went well.
    :raises DataloreInteractiveRunFailedError: if it did not; it tells of the cell that failed.
    """
    context["ti"].xcom_push(key=RUN, value=run.to_json())
    if run.success:
        log.info("The interactive run of notebook %s went well: %d cells.", run.notebook_id, len(run.cells))
        return run
    message = f"The interactive run of notebook {run.notebook_id} failed in Datalore, see {notebook.url}."
    failure = _explained(run, notebook)
    raise DataloreInteractiveRunFailedError(
        f"{message}\n{failure}" if failure is not None else message, failure=failure, notebook_id=run.notebook_id
    )


def was_interrupted(error: Exception) -> bool:
    """Whether a run failed since its kernel was interrupted."""
    failure = error.failure if isinstance(error, DataloreInteractiveRunFailedError) else None
    return failure is not None and failure.error_name == INTERRUPTED


def _explained(run: InteractiveRun, notebook: DataloreNotebook) -> CellFailure | None:
    """The cell that failed, if it can be read. Never fails: the run's own failure is what has to be told."""
    from airflow_provider_datalore.outcome import masked

    try:
        failure = _read_failure(run, notebook)
    except Exception as problem:
        log.warning("Why the run of notebook %s failed is not known here: %s", run.notebook_id, problem)
        return None
    if failure is None:
        log.warning("Cell %s, at which the run failed, is not in the notebook any more.", run.failed_cell_id)
        return None
    return masked(failure)


def _read_failure(run: InteractiveRun, notebook: DataloreNotebook) -> CellFailure | None:
    from airflow_provider_datalore.notebooks.failure import describe
    from airflow_provider_datalore.notebooks.reading import Cell

    failed = next((cell for cell in notebook.look().cells if cell.cell_id == run.failed_cell_id), None)
    if failed is None:
        return None
    outcome = notebook.cell_outcome(failed)
    control = failed.control or {}
    printed = [{"output_type": "stream", "text": text} for text in (outcome.stdout, outcome.stderr) if text]
    cell = Cell(
        number=failed.position + 1,
        source=failed.source or f"control of variable {control.get('variable')}",
        tags=(),
        outputs=tuple(printed),
        execution_count=failed.execution_count,
        language="",
    )
    name, value = _name_and_value(outcome.error_message or "")
    return describe(cell, error_name=name, error_value=value, traceback=outcome.error_traceback or "")


def _name_and_value(message: str) -> tuple[str, str]:
    """The exception's class and its message; all of it is the message where it does not begin with a class."""
    found = re.fullmatch(r"([A-Za-z_][\w.]*)(?::\s*(.*))?", message.strip(), re.DOTALL)
    return (found[1], found[2] or "") if found else ("", message)
