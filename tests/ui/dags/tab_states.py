"""DAGs of which the tests of the tab look at each state. ``notebook_id`` in a run's conf names the notebook."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_datalore.operators.datalore import DataloreInteractiveRunOperator, DataloreRunNotebookOperator

NOTEBOOK = "{{ dag_run.conf['notebook_id'] }}"
CONNECTED = {"datalore_conn_id": "datalore_tab_states"}

with DAG("tab_states_run", schedule=None, default_args=CONNECTED):
    DataloreRunNotebookOperator(task_id="state", notebook_id=NOTEBOOK, deferrable=True, poll_interval=2)

with DAG("tab_states_outputs", schedule=None, default_args=CONNECTED):
    DataloreRunNotebookOperator(
        task_id="state", notebook_id=NOTEBOOK, outputs=["revenue"], deferrable=True, poll_interval=2
    )

with DAG("tab_states_in_place", schedule=None, default_args=CONNECTED):
    DataloreInteractiveRunOperator(
        task_id="state", notebook_id=NOTEBOOK, wait_for_completion=True, deferrable=True, poll_interval=2
    )

with DAG("tab_states_started", schedule=None, default_args=CONNECTED):
    DataloreInteractiveRunOperator(task_id="state", notebook_id=NOTEBOOK)

with DAG("live_run", schedule=None, default_args={"datalore_conn_id": "datalore_live"}):
    DataloreInteractiveRunOperator(
        task_id="live",
        notebook_id=NOTEBOOK,
        parameters={"api_key": "swordfish-1"},
        wait_for_completion=True,
        deferrable=True,
        poll_interval=2,
    )
