"""What a task does that runs a notebook of the catalog. DAG files import it, so its imports are cheap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_datalore.tasks.mapping import checked_partial

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datalore.catalog import CatalogEntry


class CatalogTask:
    """The base of operators with a ``notebook_id``, which may be a notebook of the catalog.

    A base class of operators has no constructor, so the operator calls :meth:`_use_catalog` in its own.
    """

    notebook_id: str | CatalogEntry
    datalore_conn_id: str

    catalog_entry: CatalogEntry | None = None
    """The notebook of the catalog that the task runs; None if ``notebook_id`` is an id or an address."""

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Set arguments of all tasks that ``expand`` creates; see ``BaseOperator.partial``."""
        partial: Any = super().partial  # type: ignore[misc]  # the operator's other base class has it
        return checked_partial(partial(**kwargs))

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """Render the templates; then take the notebook's id for the connection of the task."""
        super().render_template_fields(context, jinja_env)  # type: ignore[misc]  # the operator's other base class has it
        if self.catalog_entry is None and not isinstance(self.notebook_id, str):
            from airflow_provider_datalore.catalog.entry import CatalogEntry

            # A mapped task group may hand on notebooks of the catalog, which are known only now.
            self.catalog_entry = self.notebook_id if isinstance(self.notebook_id, CatalogEntry) else None
        self._take_id()

    def _use_catalog(self, parameters: object = None, when_edited: str = "ignore") -> None:
        """Check what the catalog knows of the arguments; called when the DAG is read.

        :raises DataloreConfigurationError: if the catalog has no id for the connection, or the parameters do not fit.
        """
        if isinstance(self.notebook_id, str) and when_edited == "ignore":
            return
        from airflow_provider_datalore.catalog.entry import CatalogEntry
        from airflow_provider_datalore.catalog.task_arguments import check_task

        check_task(self.notebook_id, parameters, self.datalore_conn_id, when_edited)
        if isinstance(self.notebook_id, CatalogEntry):
            self.catalog_entry = self.notebook_id
            if getattr(self, "_BaseOperator__from_mapped", False):
                # Airflow renders a task of a mapped one without calling its `render_template_fields`.
                self._take_id()

    def _take_id(self) -> None:
        if self.catalog_entry is not None and self.notebook_id is self.catalog_entry:
            from airflow_provider_datalore.catalog.contract import is_written

            if is_written(self.datalore_conn_id):
                self.notebook_id = self.catalog_entry.id_for(self.datalore_conn_id)


def typed_parameters(entry: CatalogEntry | None, parameters: Any) -> Any:
    """The parameters of a run that is about to be started, in the types of the controls of the catalog.

    :param entry: the notebook of the catalog that the task runs; None if it runs another one.
    :raises DataloreConfigurationError: if a parameter has no control, or its control does not accept the value.
    """
    if entry is None:
        return parameters
    from airflow_provider_datalore.catalog.contract import typed

    return typed(entry, parameters)
