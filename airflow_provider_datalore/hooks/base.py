"""What the hooks have in common: the Airflow connection that they are made for, and its form."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_datalore import defaults
from airflow_provider_datalore.get_provider_info import connection_type


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

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """How the connection form looks on Airflow before 3.2; later ones read the provider info."""
        behaviour = connection_type()["ui-field-behaviour"]
        return {name.replace("-", "_"): value for name, value in behaviour.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """The form's own fields on Airflow before 3.2; later ones read the provider info."""
        from airflow_provider_datalore.hooks.form import widgets

        return widgets(connection_type()["conn-fields"])
