"""Says in words what was found out, and where this Datalore differs from what the package assumes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_provider_datalore.cli.probe.record import Record
from airflow_provider_datalore.emulator.settings import Variant

_CONSEQUENCES: dict[str, str] = {
    "running_success": "The package reads success only after the end of a run, so nothing depends on it.",
    "times": "The package reads every form of times.",
    "run_appears_after": "The package tolerates this for a minute after the start of a run.",
    "failed_artifacts": "The error of a failed run cannot show the cell that failed.",
    "artifacts_expire_after": "Save artifacts with artifacts_to in the task itself; links to them stop working.",
    "unknown_parameter": "A parameter with a wrong name changes nothing, and nobody is told; a catalog finds it.",
    "wrong_type": "A value that a control cannot take changes nothing, and nobody is told; a catalog finds it.",
    "unknown_field": "Options that this Datalore does not know are ignored without an error.",
    "parameter_values": "Checkboxes, and controls that take lists, cannot be set; numbers and dates can.",
    "over_limit": "If too many notebooks run, a task retries (429, 503) or fails: limit them with an Airflow pool.",
    "error_form": "Messages of errors quote the first part of the response.",
    "interactive_while_busy": "A task that runs a notebook while somebody else does fails instead of waiting.",
    "booting": "A kernel that is starting looks idle, so a run is waited for until its first cell runs.",
    "crashed_cell": "The package finds out by other means that a kernel died.",
    "files_need_session": "Files can be transferred only after the notebook was run once.",
    "notebook_api": "Interactive runs cannot be waited for, and files, controls and reports are not available.",
    "parameters": "Runs cannot have parameters.",
    "direct_file_storage_write": "direct_file_storage_write cannot be set.",
    "workspaces_api": "Notebooks cannot be found by the folder of a workspace.",
    "interactive_worksheets": "An interactive run leaves other worksheets as they are.",
    "after_restart": "A restarted kernel cannot be recognized by the results of its cells.",
    "after_stop": "A new session cannot be recognized by the results of its cells.",
    "cell_run_while_busy": "Running single cells requires an idle kernel.",
    "report_layout": "A report cannot be published before its layout was made in the editor.",
    "run_api_scope": "Tokens for runs require this scope.",
    "scope_challenge": "Datalore does not say which scope is missing.",
    "parallel_limit": "More runs than that wait or are refused, whatever the limits of Airflow are.",
    "retry_after": "The package waits at least that long.",
}
"""What a difference means for users of the package; most others change nothing."""
_NO_MATTER = "The package does not depend on it."


def report(record: Record) -> Iterator[str]:
    """The result in lines."""
    found = {name: value for name, value in record.fields().items() if value is not None}
    missing = [name for name, value in record.fields().items() if value is None]
    differing = {name: value for name, value in found.items() if not _is_assumed(name, value)}
    yield ""
    if differing:
        yield "This Datalore differs from what the package assumes:"
        for name, value in differing.items():
            usual = f", not {_shown(_assumed(name))}" if _assumed(name) is not None else ""
            yield f"- {_meaning(name)}: {_shown(value)}{usual} ({name}). {_CONSEQUENCES.get(name, _NO_MATTER)}"
    else:
        yield "This Datalore does not differ from what the package assumes."
    same = [name for name in found if name not in differing]
    yield ""
    yield f"As assumed: {', '.join(same) or 'nothing'}."
    yield f"Not found out: {', '.join(missing) or 'nothing'}."
    for remark in record.remarks:
        yield f"Note: {remark}"


def _meaning(name: str) -> str:
    text = Variant.model_fields[name].description or name
    return text[:1].upper() + text[1:]


def _assumed(name: str) -> Any:
    return Variant.model_fields[name].default


def _is_assumed(name: str, value: object) -> bool:
    assumed = _assumed(name)
    return value == (list(assumed) if isinstance(assumed, tuple) else assumed)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return str(value) or "none"
