"""The options of section ``datalore`` in Airflow's configuration, read once in each process.

Arguments in a DAG have precedence over them.
"""

from __future__ import annotations

from airflow.providers.common.compat.sdk import conf

from airflow_provider_datalore import defaults
from airflow_provider_datalore.exceptions import DataloreConfigurationError

SECTION = "datalore"


def _seconds(option: str, default: float, minimum: float) -> float:
    text = str(conf.get(SECTION, option, fallback="") or "").strip()
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not minimum <= value <= 1e7:
        raise DataloreConfigurationError(
            f"Option {option} in section [{SECTION}] of Airflow's configuration is {text!r:.50}; it must be a number "
            f"of seconds of at least {minimum:g}."
        )
    return value


POLL_INTERVAL = _seconds("poll_interval", defaults.POLL_INTERVAL, 1)
"""Maximum seconds between two requests, for DAGs that do not set ``poll_interval``."""

MAX_OUTAGE = _seconds("max_outage", defaults.MAX_OUTAGE, 0)
"""Seconds for which Datalore may be unreachable, for DAGs that do not set ``max_outage``."""

RENDERING_TIMEOUT = _seconds("rendering_timeout", defaults.RENDERING_TIMEOUT, 1)
"""Seconds that the tab of a task may take to render a notebook."""
