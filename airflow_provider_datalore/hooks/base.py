"""What the hooks have in common: the Airflow connection that they are made for."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_datalore import defaults


class DataloreBaseHook(BaseHook):
    """A hook for an Airflow connection of type ``datalore``.

    :param datalore_conn_id: the connection's id.
    """

    conn_name_attr = "datalore_conn_id"
    default_conn_name = defaults.CONN_ID
    conn_type = "datalore"
    hook_name = "Datalore"

    def __init__(self, datalore_conn_id: str = defaults.CONN_ID) -> None:
        super().__init__()
        self.datalore_conn_id = datalore_conn_id
