"""The Run API's JSON for a run, in each form that the documentation allows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .run_store import Run, now
from .settings import Variant


def describe(run: Run, variant: Variant, *, read_only: bool, has_artifact: bool) -> dict[str, Any]:
    """The response to ``GET /api/run/v1/{runId}``.

    :param read_only: whether the user may only view the notebook.
    :param has_artifact: whether the run left an executed notebook.
    """
    described: dict[str, Any] = {
        "runId": run.run_id,
        "userId": run.owner,
        "notebookId": str(run.notebook_id) if variant.notebook_id_form == "full" else run.notebook,
        "updateReport": run.update_report,
    }
    described |= _beginning(run, variant)
    described |= _ending(run, variant, has_artifact) if run.ended else _progress(run, variant)
    if variant.direct_file_storage_write:
        described["directFileStorageWrite"] = run.direct_file_storage_write
    if variant.read_only == "present":
        described["readOnly"] = read_only
    return described


def artifact_path(run: Run) -> str:
    """The path to download the executed notebook from; not percent-encoded, as documented."""
    return f"/notebook/{run.notebook_id}/artifacts/{run.run_id}/{run.file_name}"


def is_visible(run: Run, variant: Variant) -> bool:
    """Whether the API already returns the run."""
    return (now() - run.submitted).total_seconds() >= variant.run_appears_after


def has_expired(run: Run, variant: Variant) -> bool:
    """Whether the run's artifacts have expired."""
    if run.ended is None or variant.artifacts_expire_after is None:
        return False
    return (now() - run.ended).total_seconds() >= variant.artifacts_expire_after


def _beginning(run: Run, variant: Variant) -> dict[str, Any]:
    if run.started or run.ended or variant.queued_start_time == "submitted":
        return {"startTime": _time(run.started or run.submitted, variant)}
    return {"startTime": None} if variant.queued_start_time == "null" else {}


def _progress(run: Run, variant: Variant) -> dict[str, Any]:
    described: dict[str, Any] = {}
    if status := variant.running_status if run.started else variant.queued_status:
        described["status"] = status
    if variant.running_end_time == "null":
        described["endTime"] = None
    if variant.running_success != "absent":
        described["success"] = False if variant.running_success == "false" else None
    if variant.running_artifacts != "absent":
        described["artifacts"] = [] if variant.running_artifacts == "empty" else None
    return described


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
