"""A test that runs a DAG against the emulator: for the page on the emulator."""

from __future__ import annotations

# [START test_in_ci]
import json
import subprocess

import pytest


@pytest.fixture
def datalore(tmp_path, monkeypatch):
    """A Datalore of the test's own, which executes the notebooks of a folder."""
    command = ["datalore-emulator", "notebooks", "--data", str(tmp_path), "--port", "0", "--token", "test"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as emulator:
        ready = emulator.stdout.readline()
        connection = {"conn_type": "datalore", "host": ready.split()[-1], "password": "test"}
        monkeypatch.setenv("AIRFLOW_CONN_DATALORE_DEFAULT", json.dumps(connection))
        yield
        emulator.terminate()


@pytest.mark.usefixtures("datalore")
def test_daily_sales_runs():
    from daily_sales import dag

    run = dag.test(run_conf={"region": "West"})

    assert run.state == "success"


# [END test_in_ci]
