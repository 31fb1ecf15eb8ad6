"""The operators that upload files to a notebook and download them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_datalore import defaults, settings, xcom
from airflow_provider_datalore.durations import seconds
from airflow_provider_datalore.links.datalore import DataloreNotebookLink
from airflow_provider_datalore.tasks.catalog_task import CatalogTask
from airflow_provider_datalore.tasks.failing import fails_in_lines

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

    from airflow_provider_datalore.catalog import CatalogEntry
    from airflow_provider_datalore.hooks.notebook import DataloreNotebook
    from airflow_provider_datalore.tasks.next_step import Facts


class _FileOperator(CatalogTask, BaseOperator):
    """The base of both operators."""

    operator_extra_links = (DataloreNotebookLink(),)
    ui_color = "#e4f6ee"

    def __init__(
        self,
        *,
        notebook_id: str | CatalogEntry,
        max_outage: float | timedelta = settings.MAX_OUTAGE,
        datalore_conn_id: str = defaults.CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.notebook_id = notebook_id
        self.max_outage = seconds(max_outage)
        self.datalore_conn_id = datalore_conn_id
        self._use_catalog()

    def facts(self, context: Context) -> Facts:
        """What is known of the notebook, for the text of an error."""
        from airflow_provider_datalore.tasks.next_step import Facts, Kind
        from airflow_provider_datalore.tasks.own_xcoms import own_text

        return Facts(Kind.FILES, notebook_url=own_text(context, xcom.NOTEBOOK_URL))

    def _notebook(self, context: Context) -> DataloreNotebook:
        from airflow_provider_datalore.hooks.datalore import DataloreHook

        notebook = DataloreHook(self.datalore_conn_id).notebook(self.notebook_id, max_outage=self.max_outage)
        context["ti"].xcom_push(key=xcom.NOTEBOOK_URL, value=notebook.url)
        return notebook


class DataloreUploadFileOperator(_FileOperator):
    """Uploads a file from any storage that Airflow supports to a notebook, whose cells open it by its name.

    Requires Datalore Cloud, or on-premises 2026.2 or later. Returns the file's path in Datalore.

    :param notebook_id: ``owner/id``, the notebook's pasted address, or a notebook of the :class:`.Catalog`. (templated)
    :param source: the file, any ``ObjectStoragePath``: ``"/data/sales.csv"``, or
        ``"s3://aws_default@bucket/{{ ds }}/sales.csv"`` with the id of an Airflow connection before the ``@``.
        (templated)
    :param directory: the folder in Datalore. (templated)
    :param name: the file's name in Datalore; default: that of the source. (templated)
    :param max_outage: seconds for which Datalore may be unreachable before the task fails.
    :param datalore_conn_id: the Airflow connection of type ``datalore``. (templated)

    Source: https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/objectstorage.html
    """

    template_fields: Sequence[str] = ("notebook_id", "source", "directory", "name", "datalore_conn_id")

    def __init__(
        self,
        *,
        source: str | ObjectStoragePath,
        directory: str = defaults.NOTEBOOK_FILES,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.directory = directory
        self.name = name

    @fails_in_lines
    def execute(self, context: Context) -> str:
        """Upload the file.

        :return: its path in Datalore.
        """
        return self._notebook(context).files.upload(self.source, directory=self.directory, name=self.name)


class DataloreDownloadFileOperator(_FileOperator):
    """Downloads a file of a notebook to a folder of any storage that Airflow supports.

    Requires Datalore Cloud, or on-premises 2026.2 or later. Returns the path. The file appears only when it is
    complete. It replaces a file of the same name.

    :param notebook_id: ``owner/id``, the notebook's pasted address, or a notebook of the :class:`.Catalog`. (templated)
    :param path: the file in Datalore: ``"forecast.csv"`` is a file that the notebook's cells wrote under this name,
        ``"data/workspace_files/rates.csv"`` one of the workspace. (templated)
    :param destination: the folder, any ``ObjectStoragePath``. (templated)
    :param name: the file's name in the destination, made safe; default: that in Datalore. (templated)
    :param max_bytes: maximum size of the file, in bytes; None for no limit.
    :param max_outage: seconds for which Datalore may be unreachable before the task fails.
    :param datalore_conn_id: the Airflow connection of type ``datalore``. (templated)

    Source: https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/objectstorage.html
    """

    template_fields: Sequence[str] = ("notebook_id", "path", "destination", "name", "datalore_conn_id")

    def __init__(
        self,
        *,
        path: str,
        destination: str | ObjectStoragePath,
        name: str | None = None,
        max_bytes: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.destination = destination
        self.name = name
        self.max_bytes = max_bytes

    @fails_in_lines
    def execute(self, context: Context) -> str:
        """Download the file.

        :return: the path of the file.
        """
        files = self._notebook(context).files
        return str(files.download(self.path, self.destination, name=self.name, max_bytes=self.max_bytes))
