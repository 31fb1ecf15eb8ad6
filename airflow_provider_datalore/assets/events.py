"""Describes a run in the extra of the asset events that it causes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore.assets.datalore import SCHEME

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datalore.api.models import Run

log = logging.getLogger(__name__)


def describe_run(
    run: Run, context: Context, outlets: Iterable[object], parameters: Iterable[str], exports: Sequence[str] = ()
) -> None:
    """Describe the run in the extra of the event of each notebook among the outlets.

    Never fails: an error here must not fail a task whose run succeeded.

    :param run: the run, as far as it is known.
    :param context: the task's context, whose ``outlet_events`` are updated.
    :param outlets: the task's outlets; only notebooks are used.
    :param parameters: the names of the run's parameters; their values may be secret.
    :param exports: the paths of the files that were exported.
    """
    notebooks = [outlet for outlet in outlets if str(getattr(outlet, "uri", "")).startswith(f"{SCHEME}://")]
    if not notebooks:
        return
    described = run.to_json()
    extra: dict[str, Any] = {
        **{name: described[name] for name in ("run_id", "notebook_id", "start_time", "end_time")},
        "artifacts": [artifact.name for artifact in run.artifacts],
        "parameters": sorted(parameters),
    }
    if exports:
        extra["exports"] = list(exports)
    try:
        events: Any = context["outlet_events"]
        for notebook in notebooks:
            events[notebook].extra.update(extra)
    except Exception as error:
        log.warning("Could not add run %s to the asset events: %s", run.run_id, error)
