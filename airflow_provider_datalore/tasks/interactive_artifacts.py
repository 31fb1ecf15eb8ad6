"""Saves the notebook of an interactive run as a file, and its exports: Datalore keeps no executed copy of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_datalore import xcom
from airflow_provider_datalore.exceptions import DataloreError, RunState

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

    from airflow_provider_datalore.api.interactive import InteractiveRun
    from airflow_provider_datalore.api.notebook_models import CellOutcome
    from airflow_provider_datalore.hooks.notebook import DataloreNotebook

log = logging.getLogger(__name__)


def keep_notebook(
    run: InteractiveRun,
    notebook: DataloreNotebook,
    context: Context,
    destination: str | ObjectStoragePath,
    export: Sequence[str] | None,
) -> None:
    """Save the notebook as it is after the run, as ``<id>.ipynb``; XCom ``artifacts`` holds the paths.

    If the run failed, an error is only logged, so that the task reports the failure of the run.

    :param export: the formats in which it is saved as well; an export that fails is only logged.
    :raises DataloreError: if the run succeeded and the notebook cannot be read or written.
    """
    from airflow_provider_datalore import storage
    from airflow_provider_datalore.api.filenames import safe_name
    from airflow_provider_datalore.tasks.exports import exported_content

    paths: list[str] = []
    try:
        content = _read(run, notebook)
        name = safe_name(f"{notebook.id.id}.ipynb")
        path = storage.folder(destination) / name
        size = storage.write([content], path, f"the notebook {name!r:.200}")
        log.info("Wrote the notebook to %s, %d bytes.", path, size)
        storage.register_lineage(path, notebook.hook)
        paths.append(str(path))
        if export is not None:
            hook = notebook.hook
            paths += exported_content(content, name, hook, destination, export, failed=not run.success, taken=[name])
    except Exception as error:
        if run.success:
            if isinstance(error, DataloreError):
                error.set_state(RunState.SUCCEEDED, notebook.url, "the notebook succeeded.")
            raise
        log.warning("The notebook of the failed run was not written to %s: %s", destination, error)
    finally:
        context["ti"].xcom_push(key=xcom.ARTIFACTS, value=paths)


def _read(run: InteractiveRun, notebook: DataloreNotebook) -> bytes:
    from airflow_provider_datalore.api import looking
    from airflow_provider_datalore.notebooks.from_cells import notebook_of

    outcomes: dict[str, CellOutcome] = {}
    state = notebook.run_flow(partial(looking.look, notebook.id, outcomes=outcomes))
    failed = next((cell for cell in state.cells if cell.cell_id == run.failed_cell_id), None)
    if failed is not None:
        # A list of cells has no errors.
        outcomes[failed.cell_id] = notebook.cell_outcome(failed)
    return notebook_of(state.cells, outcomes)
