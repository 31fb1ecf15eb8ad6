"""The buttons of a task in the Airflow UI: its notebook, and the notebook as it was executed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

from airflow_provider_datalore import xcom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import TaskInstanceKey


class _XComLink(BaseOperatorLink):
    """A button for an address that the task pushes as XCom as soon as it knows it."""

    key: str

    @property
    def xcom_key(self) -> str:
        """The XCom in which the UI of Airflow 3 finds the address, also while the task still runs."""
        return self.key

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """The address that the task pushed; empty if it pushed none."""
        return XCom.get_value(ti_key=ti_key, key=self.key) or ""


class DataloreNotebookLink(_XComLink):
    """Opens the notebook in Datalore."""

    name = "Datalore notebook"
    key = xcom.NOTEBOOK_URL


class DataloreExecutedNotebookLink(_XComLink):
    """Opens the executed copy of the notebook, which is an artifact of the run."""

    name = "Executed notebook"
    key = xcom.EXECUTED_NOTEBOOK_URL
