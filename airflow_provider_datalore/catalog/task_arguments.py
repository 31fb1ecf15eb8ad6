"""Checks the arguments of a task against the catalog when the DAG is read."""

from __future__ import annotations

from airflow_provider_datalore.catalog.contract import check_written, is_written
from airflow_provider_datalore.catalog.entry import CatalogEntry

WHEN_EDITED = ("ignore", "warn", "fail")


def check_task(
    notebook_id: object, parameters: object, datalore_conn_id: object, when_edited: object = "ignore"
) -> None:
    """Check the arguments of a task when the DAG is read, as far as they stand in the file.

    :raises DataloreConfigurationError: if the catalog has no id for the connection, a parameter has no control, a
        control does not accept its value, or ``when_edited`` is not valid.
    """
    if when_edited not in WHEN_EDITED:
        from airflow_provider_datalore.exceptions import DataloreConfigurationError

        raise DataloreConfigurationError(
            f"when_edited is {when_edited!r}; it must be {' or '.join(map(repr, WHEN_EDITED))}."
        )
    if not isinstance(notebook_id, CatalogEntry):
        if when_edited != "ignore":
            from airflow_provider_datalore.api.text import one_line
            from airflow_provider_datalore.exceptions import DataloreConfigurationError

            raise DataloreConfigurationError(
                f"when_edited={when_edited!r} requires a notebook of the catalog, and notebook_id is "
                f"{one_line(str(notebook_id))!r:.200}.\nOnly the lock file knows the code that was locked.",
                to_do='Use Catalog.read("datalore.lock")[…] as notebook_id, or remove when_edited.',
            )
        return
    if is_written(datalore_conn_id):
        notebook_id.id_for(str(datalore_conn_id))
    check_written(notebook_id, parameters)
