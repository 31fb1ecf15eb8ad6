"""What an asset's event tells of the run that updated it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore.assets.datalore import SCHEME

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datalore.api.models import Run

log = logging.getLogger(__name__)


def describe_run(run: Run, context: Context, outlets: Iterable[object], parameters: Iterable[str]) -> None:
    """Put the run into the extra of the event of each notebook among the outlets.

    Never fails: the run went well, whatever becomes of what is told of it.

    :param run: the run, as far as it is known.
    :param outlets: the task's outlets; other assets than notebooks are left alone.
    :param parameters: the names of the parameters that the run was given; their values may be secret.
    """
    notebooks = [outlet for outlet in outlets if str(getattr(outlet, "uri", "")).startswith(f"{SCHEME}://")]
    if not notebooks:
        return
    told = run.to_json()
    extra: dict[str, Any] = {
        **{name: told[name] for name in ("run_id", "notebook_id", "start_time", "end_time")},
        "artifacts": [artifact.name for artifact in run.artifacts],
        "parameters": sorted(parameters),
    }
    try:
        events: Any = context["outlet_events"]
        for notebook in notebooks:
            events[notebook].extra.update(extra)
    except Exception as error:
        log.warning("The events of assets do not tell of run %s: %s", run.run_id, error)
