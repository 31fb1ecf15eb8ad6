"""Watchers of the same notebook with other arguments, in a file of their own; each has an asset and a DAG."""

from __future__ import annotations

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_datalore.triggers.datalore import DataloreNotebookTrigger

ARGUMENTS = {
    "same_report_published": {"event": "report_published"},
    "report_published_seen_rarely": {"event": "report_published", "poll_interval": 2},
    "run_failed": {"event": "run_ended", "outcome": "failed"},
}

for name, arguments in ARGUMENTS.items():
    trigger = DataloreNotebookTrigger(
        **{"notebook_id": "me/watched", "datalore_conn_id": "datalore_faults", "poll_interval": 1, **arguments}
    )
    asset = Asset(name, watchers=[AssetWatcher(name, trigger=trigger)])

    with DAG(f"on_{name}", schedule=[asset]):

        @task
        def payloads(triggering_asset_events=None):
            """The payload of each event that started this run."""
            return [each.extra["payload"] for events in triggering_asset_events.values() for each in events]

        payloads()
