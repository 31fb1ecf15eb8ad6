"""A test that runs a DAG against the emulator, quoted on the page about the emulator."""

from __future__ import annotations


# [START test_in_ci]
def test_daily_sales_runs(datalore_emulator):
    from daily_sales import dag

    run = dag.test(run_conf={"region": "West"})

    assert run.state == "success"
    [notebook_run] = datalore_emulator.runs()
    assert notebook_run["parameters"]["region"] == "West"


# [END test_in_ci]
