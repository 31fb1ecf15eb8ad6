"""The methods that Airflow's OpenLineage provider calls on a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_datalore.tasks.outcome import Outcome


class LineageMixin:
    """Makes the run of a notebook visible in OpenLineage.

    The task stores here what the methods return: they are called in a fork of its process, in which Airflow may never
    respond to a request for an XCom or a connection.

    Source: https://airflow.apache.org/docs/apache-airflow-providers-openlineage/stable/guides/developer.html
    """

    notebook_url: str = ""
    """The notebook's address, once it is known."""

    started_run_id: str = ""
    """The id of the run that the task started, once it is known."""

    outcome: Outcome | None = None
    """The outcome of the run, once it has ended."""

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any] | None:
        """The metadata when the task starts, or resumes after a deferral."""
        from airflow_provider_datalore.lineage.facets import lineage_of

        return lineage_of(self)

    def get_openlineage_facets_on_complete(self, task_instance: object) -> OperatorLineage[Any, Any] | None:
        """The metadata when the task has succeeded."""
        from airflow_provider_datalore.lineage.facets import lineage_of

        return lineage_of(self)

    def get_openlineage_facets_on_failure(self, task_instance: object) -> OperatorLineage[Any, Any] | None:
        """The metadata when the task has failed."""
        from airflow_provider_datalore.lineage.facets import lineage_of

        return lineage_of(self)
