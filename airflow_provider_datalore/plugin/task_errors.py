"""The error that failed a task, as the task stored it for the tab."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_datalore.api.text import one_line, plain
from airflow_provider_datalore.run_state import RunState

NO_ERROR_STORED = "The task failed. Its log has the reason."
"""What is shown of a task that failed without having stored its error."""

_MAX_SUMMARY_CHARS = 300
_MAX_TO_DO_CHARS = 1000


@dataclass(frozen=True, slots=True)
class TaskError:
    """XCom ``error``, as text. Users may have edited it: addresses in it are not made links.

    :param summary: what failed, in one line.
    :param state: what was known of the run.
    :param to_do: what to do, and what a retry or a clear of the task does; empty if it says nothing.
    :param cell: the cell that failed; empty if none did, or it is unknown.
    :param exception: the error of that cell, in one line; empty if it has none.
    """

    summary: str
    state: RunState = RunState.UNKNOWN
    to_do: str = ""
    cell: str = ""
    exception: str = ""

    @classmethod
    def read(cls, stored: object) -> TaskError | None:
        """Read what a task stored; None if it stored no error."""
        error: Mapping[str, Any] = stored if isinstance(stored, Mapping) else {}
        summary = one_line(_text(error.get("summary")))[:_MAX_SUMMARY_CHARS]
        if not summary:
            return None
        try:
            state = RunState(_text(error.get("state")))
        except ValueError:
            state = RunState.UNKNOWN
        to_do = plain(_text(error.get("to_do"))).strip()[:_MAX_TO_DO_CHARS]
        cell, exception = (one_line(_text(error.get(name)))[:_MAX_SUMMARY_CHARS] for name in ("cell", "exception"))
        return cls(summary, state, to_do, cell, exception)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
