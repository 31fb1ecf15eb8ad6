"""Runs the checks of ``doctor`` and prints what they found."""

from __future__ import annotations

from airflow_provider_datalore.cli.command import OK
from airflow_provider_datalore.hooks.datalore import DataloreHook
from airflow_provider_datalore.transport.token_check import check_token


def run(conn_id: str) -> int:
    """Check a connection.

    :return: the exit code.
    """
    hook = DataloreHook(conn_id)
    check_token(hook.client)
    print(f"Datalore at {hook.connection.base_url} accepts the token.")
    return OK
