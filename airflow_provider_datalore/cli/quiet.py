"""Keeps Airflow's own log lines out of what a command prints."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from typing import Any

from airflow_provider_datalore.exceptions import DataloreConfigurationError


def _quiet_structlog() -> None:
    """Let the log of Airflow 3 obey ``logging.disable``, as that of Airflow 2 does."""
    try:
        import structlog
    except ImportError:
        return

    def drop(_: Any, method: str, event: Any) -> Any:
        if logging.getLevelNamesMapping().get(method.upper(), logging.ERROR) <= logging.root.manager.disable:
            raise structlog.DropEvent
        return event

    structlog.configure(processors=[drop, *structlog.get_config()["processors"]])


def prepare_airflow() -> None:
    """Import Airflow for a command.

    Airflow's log lines and deprecation warnings are left out: what a command has to say, it prints itself. Airflow's
    database is among the places where connections are looked up, as for ``airflow connections test``.

    :raises DataloreConfigurationError: if Airflow cannot be imported, for example because its configuration is not
        valid.
    """
    logging.disable(logging.ERROR)
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    try:
        import airflow  # noqa: F401 - on import, it reads its configuration and sets filters of warnings

        _quiet_structlog()
    except Exception as error:
        raise DataloreConfigurationError(
            f"Airflow cannot be imported: {type(error).__name__}: {error}. See what `airflow info` reports."
        ) from error
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
