"""The details of a notebook that the page shows when a user opens them: its address and its reports in Datalore."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypedDict

from airflow_provider_datalore.exceptions import DataloreError
from airflow_provider_datalore.plugin.runs import TabClient

if TYPE_CHECKING:
    from airflow_provider_datalore.api.workspace_api import Report
    from airflow_provider_datalore.plugin.tasks import NotebookTask


class Line(TypedDict):
    """A line of the details; ``address`` is empty if the text is not a link."""

    label: str
    address: str
    text: str


def lines(task: NotebookTask, user: str) -> Iterator[Line]:
    """The details of the notebook that a task ran; sends at most a few requests. Does not fail.

    :param user: the user who opened them.
    """
    if task.conn_id is None or task.notebook_id is None:
        yield Line(label="", address="", text="Airflow no longer knows which notebook the last run used.")
        return
    try:
        datalore = TabClient(task.conn_id, task.team, user)
        notebook = datalore.connection.notebook_id(task.notebook_id)
    except DataloreError as error:
        yield Line(label="", address="", text=error.summary)
        return
    address = datalore.connection.browser_url(notebook.path)
    yield Line(label="Notebook", address=address, text=address)
    try:
        reports = datalore.reports(notebook)
    except DataloreError as error:
        yield Line(label="Report", address="", text=f"unknown. {error.summary}")
        return
    if not reports:
        yield Line(label="Report", address="", text="none that the connection's token can list")
    for report in reports:
        address = datalore.connection.browser_url(report.path) if report.path else ""
        yield Line(label="Report", address=address, text=_described(report))


def _described(report: Report) -> str:
    kind = report.format.lower() or "published"
    try:
        updated = datetime.fromtimestamp((report.modified_at or 0) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return kind
    return f"{kind}, updated {updated:%Y-%m-%d %H:%M} UTC" if report.modified_at else kind
