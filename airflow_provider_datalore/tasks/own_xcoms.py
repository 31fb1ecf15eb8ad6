"""Reads what a task of this package has pushed as an XCom, as plain JSON.

On Airflow 3, users may edit XComs, and Airflow's decoder would create Python objects from what they wrote.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore import xcom
from airflow_provider_datalore.tasks.pushing import has_backend

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, TaskInstanceKey


def own_xcom(context: Context, key: str) -> Any:
    """The XCom that this task pushed before it deferred: text, or other JSON; None if it pushed none."""
    task_instance: Any = context["ti"]
    plain_xcom = _plain_xcom()
    if plain_xcom is None:
        # On Airflow 2, only tasks write XComs.
        return task_instance.xcom_pull(task_ids=task_instance.task_id, key=key, map_indexes=task_instance.map_index)
    names = ("dag_id", "task_id", "run_id", "map_index")
    where = {name: getattr(task_instance, name) for name in names}
    if key == xcom.NOTEBOOK_URL or not has_backend():
        return plain_xcom.get_one(key=key, **where)
    return _decoded(plain_xcom.get_one(key=xcom.TAB_PREFIX + key, **where))


def earlier_xcom(context: Context, key: str) -> Any:
    """The XCom that this task (and map index) pushed last, in this DAG run or an earlier one; None if it pushed none.

    As plain JSON, see :func:`own_xcom`. On Airflow 2, only what a DAG run of an earlier logical date pushed.
    """
    task_instance: Any = context["ti"]
    plain_xcom = _plain_xcom()
    if plain_xcom is None:
        return task_instance.xcom_pull(
            task_ids=task_instance.task_id,
            key=key,
            map_indexes=task_instance.map_index,
            include_prior_dates=True,
        )
    names = ("dag_id", "task_id", "run_id", "map_index")
    where = {name: getattr(task_instance, name) for name in names}
    if not has_backend():
        return plain_xcom.get_one(key=key, include_prior_dates=True, **where)
    return _decoded(plain_xcom.get_one(key=xcom.TAB_PREFIX + key, include_prior_dates=True, **where))


def own_text(context: Context, key: str) -> str:
    """The text that this task pushed as an XCom before it deferred; empty if it pushed none."""
    value = own_xcom(context, key)
    return value if isinstance(value, str) else ""


def link(ti_key: TaskInstanceKey, key: str) -> str:
    """The address that a task pushed for a link; empty if it pushed none."""
    from airflow.providers.common.compat.sdk import XCom

    value = (_plain_xcom() or XCom).get_value(ti_key=ti_key, key=key)
    return value if isinstance(value, str) else ""


def _decoded(value: object) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return None


@cache
def _plain_xcom() -> Any:
    """Airflow's XComs without their decoder and without the XCom backend; None on Airflow 2."""
    try:
        from airflow.sdk.bases.xcom import BaseXCom
    except ImportError:
        return None

    class PlainXCom(BaseXCom):
        """Returns an XCom as it is stored."""

        @staticmethod
        def deserialize_value(result: Any) -> Any:
            return result.value

    return PlainXCom
