"""Knows how a run is told as JSON, in each way that the documentation allows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .run_store import Run, now
from .settings import Variant


def describe(run: Run, variant: Variant, *, read_only: bool, has_artifact: bool) -> dict[str, Any]:
    """What ``GET /api/run/v1/{runId}`` answers.

    :param read_only: whether the caller may only look at the notebook.
    :param has_artifact: whether the run left an executed notebook.
    """
    told: dict[str, Any] = {
        "runId": run.run_id,
        "userId": run.owner,
        "notebookId": str(run.notebook_id) if variant.notebook_id_form == "full" else run.notebook,
        "updateReport": run.update_report,
    }
    told |= _beginning(run, variant)
    told |= _ending(run, variant, has_artifact) if run.ended else _progress(run, variant)
    if variant.direct_file_storage_write:
        told["directFileStorageWrite"] = run.direct_file_storage_write
    if variant.read_only == "told":
        told["readOnly"] = read_only
    return told


def artifact_path(run: Run) -> str:
    """Where the executed notebook is downloaded from; not percent-encoded, as documented."""
    return f"/notebook/{run.notebook_id}/artifacts/{run.run_id}/{run.file_name}"


def is_visible(run: Run, variant: Variant) -> bool:
    """Whether the run can be asked for yet."""
    return (now() - run.asked).total_seconds() >= variant.run_appears_after


def has_expired(run: Run, variant: Variant) -> bool:
    """Whether the run's artifacts have been cleaned away."""
    if run.ended is None or variant.artifacts_expire_after is None:
        return False
    return (now() - run.ended).total_seconds() >= variant.artifacts_expire_after


def _beginning(run: Run, variant: Variant) -> dict[str, Any]:
    if run.started or run.ended or variant.queued_start_time == "submitted":
        return {"startTime": _time(run.started or run.asked, variant)}
    return {"startTime": None} if variant.queued_start_time == "null" else {}


def _progress(run: Run, variant: Variant) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if status := variant.running_status if run.started else variant.queued_status:
        told["status"] = status
    if variant.running_end_time == "null":
        told["endTime"] = None
    if variant.running_success != "absent":
        told["success"] = False if variant.running_success == "false" else None
    if variant.running_artifacts != "absent":
        told["artifacts"] = [] if variant.running_artifacts == "empty" else None
    return told


def _ending(run: Run, variant: Variant, has_artifact: bool) -> dict[str, Any]:
    assert run.ended is not None
    kept = has_artifact and (run.success or variant.failed_artifacts == "kept")
    return {
        "endTime": _time(run.ended, variant),
        "success": run.success,
        "artifacts": [{"name": run.file_name, "path": artifact_path(run)}] if kept else [],
    }


def _time(moment: datetime, variant: Variant) -> str | int:
    match variant.times:
        case "iso":
            return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        case "iso-fraction":
            return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case "iso-offset":
            return moment.isoformat(timespec="microseconds")
        case "epoch-ms":
            return int(moment.timestamp() * 1000)
