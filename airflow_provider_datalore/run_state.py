"""What is known of a notebook's run after an error."""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    """What is known of the notebook's run after an error; never guessed."""

    NOT_STARTED = "not started"
    """The task has not started the notebook."""

    MAY_BE_RUNNING = "may be running"
    """The notebook may be running: it was requested, but Datalore has not confirmed it, or was not seen running."""

    RUNNING = "running"
    """The notebook was running when Datalore last reported its status."""

    SUCCEEDED = "succeeded"
    """The run succeeded; the error came after it."""

    FAILED = "failed"
    """The run failed."""

    UNKNOWN = "unknown"
    """The state cannot be determined."""


STATE_WORDS = {
    RunState.NOT_STARTED: "the notebook was not started.",
    RunState.MAY_BE_RUNNING: "the notebook may be running.",
    RunState.RUNNING: "the notebook is still running.",
    RunState.SUCCEEDED: "the notebook succeeded.",
    RunState.FAILED: "the notebook failed.",
    RunState.UNKNOWN: "unknown; the outcome of the run cannot be determined.",
}
"""The words for each state in the text of an error; each contains the state's value."""
