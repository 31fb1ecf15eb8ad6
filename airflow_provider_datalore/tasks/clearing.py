"""What a clear of a task means for its run."""

from __future__ import annotations

import logging
from typing import Any

RESTARTING = "restarting"
"""Airflow's state of a task that was cleared while it was running, until its process has ended."""

log = logging.getLogger(__name__)


def with_kept_state() -> str:
    """The words after "clear this task" if the next try needs what it stored.

    In Airflow 3.4 and later, whoever clears a task chooses, and the default is to discard it.
    """
    from airflow import __version__

    major, minor, *_ = __version__.split(".")
    return " with 'Keep task state and resume'" if (int(major), int(minor)) >= (3, 4) else ""


def is_being_cleared(task_instance: Any) -> bool:
    """Whether this task, which is being killed, was cleared while it was running. Never fails: False if unknown."""
    try:
        if hasattr(task_instance, "current_state"):  # Airflow 2
            return bool(task_instance.current_state() == RESTARTING)
        run_id = task_instance.run_id
        states = task_instance.get_task_states(
            dag_id=task_instance.dag_id,
            map_index=task_instance.map_index,
            task_ids=[task_instance.task_id],
            run_ids=[run_id],
        )
        return RESTARTING in states.get(run_id, {}).values()
    except Exception as error:
        log.debug("Could not find out whether the task was cleared: %s", error)
        return False
