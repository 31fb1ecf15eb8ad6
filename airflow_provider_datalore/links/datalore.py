"""The links of a task in the Airflow UI: its notebook, and the executed copy of the notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink

from airflow_provider_datalore import xcom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import TaskInstanceKey


class _XComLink(BaseOperatorLink):
    """A link to an address that the task pushes as an XCom."""

    key: str

    @property
    def xcom_key(self) -> str:
        """The XCom from which the UI of Airflow 3 reads the address, even while the task is running."""
        return self.key

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """The address that the task pushed; empty if it did not push one."""
        from airflow_provider_datalore.tasks.own_xcoms import link

        return link(ti_key, self.key)


class DataloreNotebookLink(_XComLink):
    """Opens the notebook in Datalore."""

    name = "Datalore notebook"
    key = xcom.NOTEBOOK_URL


class DataloreExecutedNotebookLink(_XComLink):
    """Opens the executed copy of the notebook, an artifact of the run."""

    name = "Executed notebook"
    key = xcom.EXECUTED_NOTEBOOK_URL
