"""One DAG for each event that starts DAGs; its task returns the payloads of the events."""

from __future__ import annotations

from airflow.sdk import DAG, Asset, AssetWatcher, task

from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from airflow_provider_datalore.triggers.datalore import DataloreNotebookTrigger

ARGUMENTS = {
    "report_published": {},
    "file_changed": {"file": "figures.csv"},
    "notebook_edited": {},
    "run_ended": {"outcome": "any"},
}

with DAG("run_watched", schedule=None):
    DataloreRunNotebookOperator(
        task_id="run", notebook_id="me/watched", datalore_conn_id="datalore_faults", deferrable=True, poll_interval=1
    )

for event, arguments in ARGUMENTS.items():
    trigger = DataloreNotebookTrigger(
        "me/watched", event, datalore_conn_id="datalore_faults", poll_interval=1, **arguments
    )
    asset = Asset(event, watchers=[AssetWatcher(event, trigger=trigger)])

    with DAG(f"on_{event}", schedule=[asset]):

        @task
        def payloads(triggering_asset_events=None):
            """The payload of each event that started this run."""
            return [each.extra["payload"] for events in triggering_asset_events.values() for each in events]

        payloads()
