"""Compares what a task runs with its notebook: as the lock file knows it, and as the server has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_datalore.api.notebook_id import NotebookId
from airflow_provider_datalore.api.text import one_line
from airflow_provider_datalore.catalog import Catalog, CatalogEntry
from airflow_provider_datalore.catalog.changes import changes
from airflow_provider_datalore.catalog.contract import is_written, problems
from airflow_provider_datalore.catalog.facts import facts_of, of_cells
from airflow_provider_datalore.catalog.lock_file import FILE_NAME
from airflow_provider_datalore.cli.check.tasks import Variant
from airflow_provider_datalore.exceptions import DataloreError, DataloreNotebookApiMissingError
from airflow_provider_datalore.hooks.datalore import DataloreHook
from airflow_provider_datalore.tasks.output_values import NamedType


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong.

    :param message: what, in words.
    :param argument: the argument or parameter that it is about; empty for the task.
    """

    message: str
    argument: str = ""


@dataclass(slots=True)
class Checked:
    """What was found about one variant of a task.

    :param notebook: the name or the id of the notebook.
    :param notebook_id: its id; empty if it is not known.
    :param connection: the connection that was used.
    :param findings: what is wrong.
    :param notes: what could not be checked.
    """

    notebook: str = ""
    notebook_id: str = ""
    connection: str = ""
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Comparer:
    """Compares variants, and asks the server once for each notebook.

    :param conn_id: the connection instead of that of each task; None for that of each task.
    :param offline: whether to use the lock file alone.
    :param lock: the lock file; None for that of each task, and for tasks without one the file of the usual name beside
        the DAG file or in the present folder.
    """

    def __init__(self, conn_id: str | None, offline: bool, lock: str | None) -> None:
        self._conn_id = conn_id
        self._offline = offline
        self._catalog = Catalog.read(Path(lock).absolute()) if lock is not None else None
        self._catalogs: dict[Path, Catalog] = {}
        self._hooks: dict[str, DataloreHook] = {}
        self._facts: dict[tuple[str, str], Mapping[str, Any] | DataloreError] = {}

    def check(self, variant: Variant, dag_file: str) -> Checked:
        """Compare one variant of a task.

        :param dag_file: the file that defines it.
        """
        checked = Checked(connection=self._conn_id or one_line(str(variant.connection)))
        if variant.error:
            checked.findings.append(Finding(f"one of its mapped tasks cannot be created: {variant.error}"))
            return checked
        checked.findings += _outputs(variant.outputs)
        checked.findings += _no_mapping(variant.parameters)
        checked.notebook = one_line(str(variant.notebook or ""))
        if reason := _why_unknown(variant, checked.connection):
            checked.notes.append(reason)
            return checked
        try:
            entry = self._locked(variant, checked, dag_file)
            if entry is not None:
                _ = entry.controls  # Checks what somebody may have edited.
        except DataloreError as error:
            checked.findings.append(Finding(_line(error), "notebook_id"))
            return checked
        found = None if self._offline or not checked.notebook_id else self._present(checked)
        if isinstance(found, DataloreNotebookApiMissingError):
            checked.notes.append("the server has no Notebook API, so only the lock file was compared")
            found = None
        if isinstance(found, DataloreError):
            checked.findings.append(Finding(_line(found), "notebook_id"))
        elif found is not None:
            if entry is not None:
                checked.findings += [
                    Finding(f"the lock file is not what the server has: {change}", "notebook_id")
                    for change in changes(entry.facts, found)
                ]
            entry = CatalogEntry(entry.name if entry is not None else checked.notebook, found, Path("the server"))
        if entry is None:
            if self._offline:
                checked.notes.append("its notebook is not in a lock file")
            return checked
        checked.findings += _contract(entry, variant.parameters)
        return checked

    def _locked(self, variant: Variant, checked: Checked, dag_file: str) -> CatalogEntry | None:
        """The notebook in the lock file; None if there is none. Sets the notebook's id.

        :raises DataloreError: if the lock file does not have it, or the id is not one.
        """
        entry = variant.entry
        if entry is not None:
            if self._catalog is not None:
                entry = self._catalog[entry.name]
            own = str(variant.connection)
            # Another server with the same notebooks, such as an emulator, need not be in the lock file.
            is_other = checked.connection not in entry.ids and is_written(own) and own in entry.ids
            checked.notebook_id = entry.id_for(own if is_other else checked.connection)
            return entry
        checked.notebook_id = str(NotebookId.parse(variant.notebook))
        for known in (self._catalog or self._usual(dag_file) or {}).values():
            if checked.notebook_id in (known.ids.get(checked.connection), known.ids.get(str(variant.connection))):
                return known
        return None

    def _usual(self, dag_file: str) -> Catalog | None:
        """The lock file of the usual name, for tasks that do not name one."""
        for folder in (Path(dag_file).parent, Path.cwd()):
            if (path := folder / FILE_NAME).is_file():
                if path not in self._catalogs:
                    self._catalogs[path] = Catalog.read(path)
                return self._catalogs[path]
        return None

    def _present(self, checked: Checked) -> Mapping[str, Any] | DataloreError:
        """The facts on the server, or why they cannot be read."""
        key = checked.connection, checked.notebook_id
        if key not in self._facts:
            try:
                hook = self._hooks.setdefault(checked.connection, DataloreHook(checked.connection))
                self._facts[key] = facts_of(of_cells(hook.notebook(checked.notebook_id).cells()))
            except DataloreError as error:
                self._facts[key] = error
        return self._facts[key]


def _outputs(outputs: Any) -> Iterator[Finding]:
    """What the task would find wrong with its ``outputs`` before the notebook runs."""
    if outputs is None or not is_written(outputs):
        return
    from airflow_provider_datalore.hooks.run_outputs import check_output_names, check_types

    try:
        check_output_names(list(outputs) if isinstance(outputs, Mapping) else outputs)
        if isinstance(outputs, Mapping):
            kinds = {name: kind.kind if isinstance(kind, NamedType) else kind for name, kind in outputs.items()}
            check_types(kinds)
    except DataloreError as error:
        yield Finding(_line(error), "outputs")


def _contract(entry: CatalogEntry, parameters: Any) -> Iterator[Finding]:
    if parameters is None or not isinstance(parameters, Mapping) or not entry.knows_controls:
        return
    for name, error in problems(entry, parameters):
        yield Finding(_line(error), name)
    for control in entry.controls.values():
        if control.is_required and parameters.get(control.variable) is None:
            yield Finding(
                f"Parameter {control.variable!r} of notebook {entry.name!r} is missing: its control ({control}) has no "
                "value of its own.",
                "parameters",
            )


def _no_mapping(parameters: object) -> Iterator[Finding]:
    if parameters is not None and not isinstance(parameters, Mapping) and is_written(parameters):
        kind = type(parameters).__name__
        yield Finding(f"parameters is a {kind}, not a mapping {{variable: value}}.", "parameters")


def _why_unknown(variant: Variant, connection: str) -> str:
    """Why it is not known which notebook runs; empty if it is known."""
    if not variant.runs_notebook:
        return "runs no notebook of its own"
    if not is_written(connection):
        return "its connection is a template; --conn-id sets one"
    is_known = variant.entry is not None or (isinstance(variant.notebook, str) and is_written(variant.notebook))
    return "" if is_known else "its notebook is known only when the task runs"


def _line(error: DataloreError) -> str:
    return one_line(str(error))
