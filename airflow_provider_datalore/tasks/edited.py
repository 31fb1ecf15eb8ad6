"""Whether the code that a task runs is the code that was locked: ``when_edited``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_datalore import xcom
from airflow_provider_datalore.catalog import CatalogEntry
from airflow_provider_datalore.catalog.code import CodeOfCell, edits
from airflow_provider_datalore.catalog.facts import code_of, of_cells, of_file
from airflow_provider_datalore.exceptions import (
    DataloreError,
    DataloreForbiddenError,
    DataloreNotebookApiMissingError,
    DataloreNotebookEditedError,
)
from airflow_provider_datalore.notebooks.reading import MAX_NOTEBOOK_BYTES, NotANotebookError
from airflow_provider_datalore.run_state import RunState
from airflow_provider_datalore.tasks.pushing import push_for_tab
from airflow_provider_datalore.wording import short_id

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.hooks.datalore import DataloreHook
    from airflow_provider_datalore.hooks.notebook import DataloreNotebook

log = logging.getLogger(__name__)

_TO_DO = "If the edits are right, run `airflow-datalore lock` and commit the file; if not, undo them in Datalore."


class EditedTask(Protocol):
    """A task that may run a notebook of the catalog."""

    catalog_entry: CatalogEntry | None
    when_edited: str


def check_before(task: EditedTask, notebook: DataloreNotebook, context: Context, *, also_after: bool) -> None:
    """Compare the code that is about to run with the locked code, if the server has a Notebook API.

    :param also_after: whether :func:`check_after` compares the executed notebook otherwise.
    :raises DataloreNotebookEditedError: if it differs, and the task has ``when_edited="fail"``.
    :raises DataloreNotebookApiMissingError: if it can never be compared, and the task has ``when_edited="fail"``.
    """
    entry = task.catalog_entry
    if entry is None or task.when_edited == "ignore":
        return
    try:
        present = code_of(of_cells(notebook.cells()))
    except (DataloreNotebookApiMissingError, DataloreForbiddenError) as error:
        if also_after:
            log.info("The code of notebook %r is compared after the run, and not before it: %s", entry.name, error)
            return
        message = (
            f"The code of notebook {entry.name!r} cannot be compared with the locked code, because this task does not "
            f"get the executed notebook, and the notebook itself cannot be read: {error}"
        )
        if task.when_edited == "fail":
            raise DataloreNotebookApiMissingError(
                message, state=RunState.NOT_STARTED, to_do='Set when_edited="warn" or "ignore".'
            ) from error
        log.warning("%s", message)
        return
    push_for_tab(context, xcom.CODE_CHECKED, "before the run")
    try:
        _report(task, entry, present, "The code of notebook {} was edited since it was locked.", RunState.NOT_STARTED)
    except DataloreNotebookEditedError as error:
        from airflow_provider_datalore.tasks.no_retry import without_retry

        raise without_retry(error) from None


def check_after(task: object, run: Run, hook: DataloreHook, context: Context) -> None:
    """Compare the code that has run with the locked code, if it was not compared before the run.

    :raises DataloreNotebookEditedError: if it differs, and the task has ``when_edited="fail"``.
    :raises DataloreError: if the executed notebook cannot be read, and the task has ``when_edited="fail"``.
    """
    entry = getattr(task, "catalog_entry", None)
    checked: Any = task
    if entry is None or checked.when_edited == "ignore" or _was_checked(context):
        return
    try:
        present = _executed(run, hook)
    except (DataloreError, NotANotebookError) as error:
        message = f"Cannot tell whether run {run.run_id} executed the locked code of {entry.name!r}: {error}"
        if checked.when_edited == "fail" and run.succeeded:
            raise DataloreNotebookEditedError(message, state=RunState.SUCCEEDED) from error
        log.warning("%s", message)
        return
    if run.succeeded:
        summary = f"Run {short_id(run.run_id)} executed other code than the locked code of notebook {{}}."
        _report(checked, entry, present, summary, RunState.SUCCEEDED)
    elif found := edits(entry.cells, present):
        log.warning("Run %s did not execute the locked code of %r: %s.", run.run_id, entry.name, "; ".join(found))


def _executed(run: Run, hook: DataloreHook) -> list[CodeOfCell]:
    artifact = run.executed_notebook
    if artifact is None:
        raise NotANotebookError("its artifacts contain no executed notebook")
    return code_of(of_file(hook.read_artifact(artifact, max_bytes=MAX_NOTEBOOK_BYTES)))


def _was_checked(context: Context) -> bool:
    from airflow_provider_datalore.tasks.own_xcoms import own_text

    return bool(own_text(context, xcom.CODE_CHECKED))


def _report(task: EditedTask, entry: CatalogEntry, present: list[CodeOfCell], summary: str, state: RunState) -> None:
    found = edits(entry.cells, present)
    if not found:
        log.info("The code of notebook %r is the code that was locked.", entry.name)
        return
    lines = [summary.format(repr(entry.name)), *(f"{edit[0].upper()}{edit[1:]}." for edit in found)]
    if task.when_edited == "warn":
        log.warning("%s", "\n".join([*lines, f"To do: {_TO_DO}"]))
        return
    raise DataloreNotebookEditedError("\n".join(lines), edits=tuple(found), state=state, to_do=_TO_DO)
