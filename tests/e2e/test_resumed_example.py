"""The example of a long notebook that fails in its last cell, is mended and cleared."""

from __future__ import annotations

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client
from tests.emulator.notebook_client import Notebook
from tests.faults.stage import Task
from tests.shared_airflow import SharedAirflow

YEARLY_REPORT = "datalore_yearly_report"


def test_a_clear_does_not_run_the_first_cells_again(airflow: SharedAirflow, emulator: EmulatorProcess) -> None:
    notebook = Notebook(Client(emulator), "team/yearly_report")
    task = Task(airflow, YEARLY_REPORT, airflow.trigger(YEARLY_REPORT, {}), "report")
    task.wait_until("failed")
    last = notebook.cells()[-1]
    task.wait_for_log("NameError: name 'revenu' is not defined")
    notebook.json("cell/edit", cellId=last["cellId"], newContent=last["source"].replace("revenu ", "revenue "))
    task.clear()
    task.wait_until("success", try_number=2)

    run = task.xcom("run")
    assert (run["resumed_at"], run["kept"]) == (5, 4)
    # 5 is the execution that failed, 6 the check of the kernel.
    assert [cell["execution_count"] for cell in run["cells"]] == [1, 2, 3, 4, 7]
    task.wait_for_log("resumed at cell 5 of 5; cells 1 to 4 are of try 1, ", try_number=2)
    assert "Mean of a month: " in notebook.outcome(5)["stdout"]
