"""The methods by which Airflow's OpenLineage provider asks a task what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.notebooks.failure import CellFailure


class LineageMixin:
    """A task that has to do with a run of a notebook, for OpenLineage.

    What the methods tell is kept here while the task runs: they are called in a fork of its process, where Airflow may
    never answer when it is asked for an XCom or a connection.

    Source: https://airflow.apache.org/docs/apache-airflow-providers-openlineage/stable/guides/developer.html
    """

    notebook_link: str = ""
    """The notebook's address, as soon as it is known."""

    started_run_id: str = ""
    """The run that the task has started, as soon as it is known."""

    finished_run: Run | None = None
    """The run, once it has ended."""

    cell_failure: CellFailure | None = None
    """The cell at which it failed, if it did and that is known."""

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any] | None:
        """What is known when the task starts, or goes on after a deferral."""
        from airflow_provider_datalore.lineage.facets import lineage_of

        return lineage_of(self)

    def get_openlineage_facets_on_complete(self, task_instance: object) -> OperatorLineage[Any, Any] | None:
        """What is known when the task has ended well."""
        from airflow_provider_datalore.lineage.facets import lineage_of

        return lineage_of(self)

    def get_openlineage_facets_on_failure(self, task_instance: object) -> OperatorLineage[Any, Any] | None:
        """What is known when the task has failed."""
        from airflow_provider_datalore.lineage.facets import lineage_of

        return lineage_of(self)
