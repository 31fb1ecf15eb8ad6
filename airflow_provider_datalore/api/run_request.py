"""A request for a run: what a DAG author wrote, checked and converted."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Unpack

from airflow_provider_datalore.api.models import RunOptions
from airflow_provider_datalore.api.notebook_id import NotebookId
from airflow_provider_datalore.api.parameters import ParameterValue, to_datalore
from airflow_provider_datalore.api.text import choices
from airflow_provider_datalore.exceptions import DataloreConfigurationError
from airflow_provider_datalore.wording import short_notebook

UPDATE_REPORT_CHOICES = ("never", "on success")


class RunRequest(NamedTuple):
    """A request for a run, with validated values.

    :param notebook_id: the notebook to run.
    :param parameters: the value for each control, by the control's *Variable*, as Datalore accepts them.
    :param update_report: ``"never"`` or ``"on success"``; None is Datalore's default, ``"never"``.
    :param direct_file_storage_write: whether the run writes to the notebook's own files (Datalore 2026.1 and
        later); None is Datalore's default, False.
    """

    notebook_id: NotebookId
    parameters: Mapping[str, ParameterValue] = MappingProxyType({})
    update_report: str | None = None
    direct_file_storage_write: bool | None = None

    @classmethod
    def build(cls, notebook: NotebookId, **options: Unpack[RunOptions]) -> RunRequest:
        """Check and convert what a DAG author wrote.

        :raises DataloreConfigurationError: if Datalore would not accept a value; the message names it.
        """
        update_report = options.get("update_report")
        direct_file_storage_write = options.get("direct_file_storage_write")
        if update_report is not None and update_report not in UPDATE_REPORT_CHOICES:
            raise DataloreConfigurationError(
                f"update_report is {update_report!r} for notebook {notebook}.",
                to_do=f"It must be {choices(UPDATE_REPORT_CHOICES)}, or None to leave it to Datalore.",
            )
        if direct_file_storage_write is not None and not isinstance(direct_file_storage_write, bool):
            raise DataloreConfigurationError(
                f"direct_file_storage_write is {direct_file_storage_write!r} for notebook {notebook}.",
                to_do="It must be True or False, or None to leave it to Datalore.",
            )
        try:
            values = to_datalore(options.get("parameters"))
        except DataloreConfigurationError as error:
            error.message = f"Notebook {short_notebook(str(notebook))}: {error.message}"
            raise
        return cls(
            notebook_id=notebook,
            parameters=values,
            update_report=None if update_report is None else str(update_report),
            direct_file_storage_write=direct_file_storage_write,
        )

    def body(self) -> dict[str, Any]:
        """The JSON body of the request, without options that are not set: older servers do not know every field."""
        body: dict[str, Any] = {"notebookId": str(self.notebook_id)}
        if self.update_report is not None:
            body["updateReport"] = self.update_report
        if self.parameters:
            body["parameters"] = [{"name": name, "value": value} for name, value in self.parameters.items()]
        if self.direct_file_storage_write is not None:
            body["directFileStorageWrite"] = self.direct_file_storage_write
        return body
