"""The operator that runs a notebook in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_datalore import defaults
from airflow_provider_datalore.links.datalore import NOTEBOOK_URL, DataloreNotebookLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class DataloreInteractiveRunOperator(BaseOperator):
    """Runs a notebook in place, as "Run all" in the editor does, which updates the outputs that people see in it.

    Datalore tells no run id for this, so the task ends as soon as the notebook is started.

    :param notebook_id: ``owner/id``, or the notebook's address as pasted from the browser. (templated)
    :param datalore_conn_id: the Airflow connection of type ``datalore``. (templated)

    Source: https://www.jetbrains.com/help/datalore/run-notebooks-using-api.html
    """

    template_fields: Sequence[str] = ("notebook_id", "datalore_conn_id")
    operator_extra_links = (DataloreNotebookLink(),)
    ui_color = "#e4f6ee"

    def __init__(
        self,
        *,
        notebook_id: str,
        datalore_conn_id: str = defaults.CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.notebook_id = notebook_id
        self.datalore_conn_id = datalore_conn_id

    def execute(self, context: Context) -> None:
        """Start the notebook."""
        from airflow_provider_datalore.hooks.datalore import DataloreHook
        from airflow_provider_datalore.operators.submission import never_twice

        hook = DataloreHook(self.datalore_conn_id)
        url = hook.notebook_url(self.notebook_id)
        context["ti"].xcom_push(key=NOTEBOOK_URL, value=url)
        with never_twice():
            hook.run_notebook_interactively(self.notebook_id)
        self.log.info("Notebook %s runs in place: %s", self.notebook_id, url)
