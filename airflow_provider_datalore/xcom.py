"""The keys of all XComs that tasks of this package push. Imports nothing, so that DAG files load quickly."""

from __future__ import annotations

RUN_ID = "run_id"
"""The id of the run, as soon as it is known."""

RUN = "run"
"""The finished run as JSON; for an interactive run, with its cells."""

NOTEBOOK_URL = "notebook_url"
"""The address of the notebook, for the task's link."""

EXECUTED_NOTEBOOK_URL = "executed_notebook_url"
"""The address of the executed copy of the notebook, for the task's link; empty until there is one."""

ARTIFACTS = "artifacts"
"""The paths to which artifacts were written."""

OUTPUTS = "outputs"
"""The values that the notebook returned, by name."""

OUTPUT_PREFIX = "output."
"""Precedes the key of the XCom that holds one value that the notebook returned."""

PARAMETERS = "parameters"
"""The parameters that a decorated function returned, with the secrets that Airflow knows masked."""

INTERACTIVE_RUN = "interactive_run"
"""The notebook as it was before an interactive run, which identifies the run."""

CODE = "code"
"""The code that an interactive run executes, compressed, to be compared with that of the next run."""

HISTORY = "history"
"""What earlier interactive runs of the task tell about its next one; of runs with an id, XCom ``run`` has it."""

ERROR = "error"
"""The error that failed the task, as JSON: ``summary``, ``state``, ``to_do``, ``notebook_url``; also ``cell`` and
``exception`` if a cell of the notebook failed."""

TAB_PREFIX = "datalore_tab_"
"""Precedes the key of an XCom that the tab shows: with an XCom backend, the same value as JSON text in the database."""

CODE_CHECKED = "code_checked"
"""That the code was compared with the locked code before the run, so that it need not be compared after it."""


def output_key(name: str) -> str:
    """The key of the XCom of one returned value; names with other characters than these would break addresses."""
    is_plain = name.isascii() and name.replace("_", "").replace("-", "").replace(".", "").isalnum()
    return OUTPUT_PREFIX + (name if is_plain else f"x{name.encode('utf-8', 'surrogatepass').hex()}")
