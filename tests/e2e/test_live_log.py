"""The Logs tab of a deferred task shows what the notebook prints, while it runs, in a real Airflow."""

from __future__ import annotations

from pathlib import Path

from dev.processes import wait_for
from tests.live_notebook import DAG_ID, SECRET, TASK_ID, TIMEOUT, live_run
from tests.shared_airflow import SharedAirflow


def test_a_cells_output_is_in_the_log_before_the_cell_is_over_while_the_task_is_deferred(
    airflow: SharedAirflow, tmp_path: Path
) -> None:
    with live_run(airflow, tmp_path) as run:
        wait_for("The log shows the output of cell 5", lambda: run.has_logged("rows read: 51"), TIMEOUT)
        assert run.state == "deferred"
        log = run.log()
        assert "Cell 5 of 12 started: print('rows read:'" in log
        assert "Cell 4 of 12 succeeded in " in log
        assert "imported 42" in log
        assert "key ***" in log
        assert "rows written: 54" not in log

        run.gate.touch()
        assert airflow.wait_for_run(DAG_ID, run.run_id, TIMEOUT) == "success", airflow.failure(DAG_ID, run.run_id)
        log = run.log()
    assert "rows written: 54" in log
    assert "Cell 12 of 12 succeeded in " in log
    assert "Cell 5 of 12 succeeded in " in log
    assert SECRET not in log
    assert airflow.xcom(DAG_ID, run.run_id, TASK_ID, "run")["success"] is True
