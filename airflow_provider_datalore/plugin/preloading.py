"""Imports what tasks need in the process that starts them: tasks are forked from it, and find the modules imported."""

from __future__ import annotations

import logging
import sys
from functools import cache
from importlib import import_module

STARTS_TASKS = frozenset({"scheduler", "celery", "edge", "dag-processor"})
"""The commands of Airflow whose processes fork tasks, or readers of DAG files."""

OF_TASKS = (
    "hooks.datalore",
    "operators.datalore",
    "sensors.datalore",
    "tasks.deferral",
    "tasks.lost_trigger",
    "tasks.lazy_hook",
    "tasks.no_retry",
    "tasks.outcome",
    "tasks.own_xcoms",
    "tasks.run_options",
    "tasks.run_store",
    "tasks.state_stores",
    "transport.requests_client",
    "transport.tls",
    "triggers.datalore",
    "triggers.event",
)
"""The modules that a task imports when it starts a run or is resumed; they import the others."""

log = logging.getLogger(__name__)


@cache
def import_modules_of_tasks() -> None:
    """Import them if this process starts tasks, once: Airflow may load the plugin again in the processes of tasks.

    Never fails: a task that imports them itself reports the error.
    """
    if STARTS_TASKS.isdisjoint(sys.argv):
        return
    try:
        for name in OF_TASKS:
            import_module(f"airflow_provider_datalore.{name}")
    except Exception as error:
        log.debug("Each task imports what it needs from this package: %s", error)
