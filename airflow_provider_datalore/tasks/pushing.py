"""Pushes XComs that are read from the database again, where an XCom backend may have left only a path."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore import xcom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


def take_over_links(task: Any) -> None:
    """Keep Airflow 3 from reading and pushing every link of a task again when its process ends.

    The task pushes each address once, with :func:`push_link`, when it knows it. What the UI shows is not affected: the
    scheduler and the API server have the links of the DAG file.
    """
    task.operator_extra_links = ()


def push_link(context: Context, key: str, address: str) -> None:
    """Push the address of a link: past the XCom backend, as Airflow itself does when the task ends."""
    if not _push_past_backend(context, key, address):
        context["ti"].xcom_push(key=key, value=address)


def push_for_tab(context: Context, key: str, value: Any) -> None:
    """Push an XCom that the tab or the resumed task reads; with an XCom backend, also as JSON text in the database."""
    context["ti"].xcom_push(key=key, value=value)
    _push_past_backend(context, xcom.TAB_PREFIX + key, json.dumps(value))


def has_backend() -> bool:
    """Whether an XCom backend is configured that can be bypassed; False on Airflow 2, whose UI uses the backend."""
    from airflow.providers.common.compat.sdk import XCom

    return hasattr(XCom, "_set_xcom_in_db") and not XCom.__module__.startswith("airflow.sdk.")


def _push_past_backend(context: Context, key: str, value: str) -> bool:
    """Push a value past the XCom backend.

    :return: whether it was pushed; False without a backend, see :func:`has_backend`.
    """
    from airflow.providers.common.compat.sdk import XCom

    if not has_backend():
        return False
    past_backend: Any = getattr(XCom, "_set_xcom_in_db")  # noqa: B009  (absent on Airflow 2)
    task_instance = context["ti"]
    names = ("dag_id", "task_id", "run_id", "map_index")
    past_backend(key=key, value=value, **{name: getattr(task_instance, name) for name in names})
    return True
