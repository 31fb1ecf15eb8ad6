"""The call of Datalore's Notebook API that publishes a notebook as a report.

Source: https://github.com/JetBrains/datalore-skills/tree/main/skills/datalore-notebook/references
"""

from __future__ import annotations

from typing import Any

from airflow_provider_datalore.api.calls import Call
from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.api.notebook_api import notebook_call
from airflow_provider_datalore.api.text import choices
from airflow_provider_datalore.exceptions import DataloreConfigurationError

REPORT_TYPES = ("STATIC", "INTERACTIVE")
REPORT_MODES = ("CREATE", "UPDATE")
COMPUTATION_MODES = ("REACTIVE", "JUPYTER")


def publish_report(
    notebook: NotebookId,
    report_type: object,
    mode: object,
    *,
    full_width: bool | None = None,
    computation_mode: object = None,
    can_download_and_edit_copy: bool | None = None,
) -> Call:
    """The call that publishes a notebook as a report. What is None is not sent, so that Datalore's default applies.

    :param report_type: ``STATIC`` or ``INTERACTIVE``.
    :param mode: ``CREATE``, or ``UPDATE`` for a report that is already published.
    :param full_width: whether the report takes the full width of the page.
    :param computation_mode: for an interactive report, ``REACTIVE`` or ``JUPYTER``.
    :param can_download_and_edit_copy: whether viewers may download the report, and edit a copy.
    :raises DataloreConfigurationError: for any other value.
    """
    check_report_type(report_type)
    if mode not in REPORT_MODES:
        raise DataloreConfigurationError(
            f"mode is {mode!r}; it must be {choices(REPORT_MODES)}.", to_do="Correct mode."
        )
    if computation_mode is not None and computation_mode not in COMPUTATION_MODES:
        raise DataloreConfigurationError(
            f"computation_mode is {computation_mode!r}; it must be {choices(COMPUTATION_MODES)}.",
            to_do="Correct computation_mode.",
        )
    if computation_mode is not None and report_type != "INTERACTIVE":
        raise DataloreConfigurationError(
            f"computation_mode is {computation_mode!r}; it can be set for an INTERACTIVE report only.",
            to_do="Remove computation_mode, or publish an INTERACTIVE report.",
        )
    options: dict[str, Any] = {
        "fullWidth": full_width,
        "computationMode": computation_mode,
        "canDownloadAndEditCopy": can_download_and_edit_copy,
    }
    is_new = mode == "CREATE"
    bad_request = "The report needs a layout that is not empty: open the notebook's report in Datalore and build it."
    if not is_new:
        bad_request = f"Only a published report can be updated: publish it in Datalore once. {bad_request}"
    return notebook_call(
        notebook,
        "report/publish",
        f"publish the {report_type} report of notebook {notebook}",
        bad_request=bad_request,
        repeatable=not is_new,
        type=report_type,
        mode=mode,
        **{name: value for name, value in options.items() if value is not None},
    )


def check_report_type(report_type: object, name: str = "report_type") -> None:
    """Check the type of a report.

    :param name: the name of the argument, for the message.
    :raises DataloreConfigurationError: if there is no such type.
    """
    if report_type not in REPORT_TYPES:
        raise DataloreConfigurationError(
            f"{name} is {report_type!r}; it must be {choices(REPORT_TYPES)}.", to_do=f"Correct {name}."
        )
