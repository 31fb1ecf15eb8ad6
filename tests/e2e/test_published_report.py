"""An analyst publishes a report in Datalore, and the example DAG starts."""

from __future__ import annotations

import pytest
from airflow import __version__ as AIRFLOW  # noqa: N812

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.shared_airflow import SharedAirflow

DAG_ID = "datalore_mail_figures"
NOTEBOOK = "me/daily_sales"


@pytest.mark.skipif(AIRFLOW.startswith("2."), reason="Airflow 2 has no event triggers")
@pytest.mark.timeout(600)
def test_a_published_report_starts_the_dag_that_mails_its_figures(
    airflow: SharedAirflow, emulator: EmulatorProcess
) -> None:
    def looks() -> int:
        requests = emulator.log()["requests"]
        return sum(count for request, count in requests.items() if "/api/workspaces/v1/reports" in request)

    airflow.wait("The watcher has its baseline", lambda: looks() >= 2)
    before = airflow.dag_runs(DAG_ID)
    emulator.publish_report(NOTEBOOK)
    airflow.wait("The DAG is started", lambda: len(airflow.dag_runs(DAG_ID)) > len(before))
    (dag_run,) = set(airflow.dag_runs(DAG_ID)) - set(before)
    assert airflow.wait_for_run(DAG_ID, dag_run, 240) == "success"
    (mail,) = airflow.xcom(DAG_ID, dag_run, "mail")
    assert f"{emulator.url}/notebook/{NOTEBOOK}" in mail
