"""Notebooks with several worksheets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, Write, gate, gate_pid, printed
from tests.emulator.notebook_client import Notebook


def on(worksheet: int, source: str) -> NotebookNode:
    """A cell on a worksheet."""
    cell: NotebookNode = nbformat.v4.new_code_cell(source, metadata={"datalore": {"worksheet": worksheet}})
    return cell


def listed(opened: Notebook, worksheet: int) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = opened.json("cells", worksheetIndex=worksheet)["cells"]
    return cells


def statuses(opened: Notebook, worksheet: int) -> list[str]:
    cells = opened.json("cells", worksheetIndex=worksheet, includeOutputs=True)["cellsWithOutputs"]
    return [cell["executionStatus"] for cell in cells]


def test_the_cells_of_each_worksheet_are_listed(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook(on(1, "b"), "a", on(1, "c"), on(0, "d")))
    assert [(cell["position"], cell["source"]) for cell in listed(opened, 0)] == [(0, "a"), (1, "d")]
    assert [(cell["position"], cell["source"]) for cell in listed(opened, 1)] == [(0, "b"), (1, "c")]


@pytest.mark.parametrize(("variant", "status"), [("404", 404), ("400", 400), ("empty", 200)])
def test_what_a_worksheet_that_does_not_exist_gets_depends_on_the_variant(
    datalore: EmulatorProcess, client: Client, notebook: Write, variant: str, status: int
) -> None:
    datalore.set_variant(missing_worksheet=variant)
    response = Notebook(client, notebook("1")).call("cells", worksheetIndex=1)
    assert response.status_code == status
    assert response.json()["error"] if status != 200 else response.json()["cells"] == []


def test_an_interactive_run_executes_one_worksheet_after_another(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook(on(1, "print(a + 1)"), "a = 1"))
    opened.run_to_end()
    assert (statuses(opened, 0), statuses(opened, 1)) == (["VALID"], ["VALID"])
    [cell] = opened.json("cells", worksheetIndex=1, includeOutputs=True)["cellsWithOutputs"]
    assert (cell["outputs"][0]["text"], cell["executionCount"]) == ("2\n", 2)


def test_an_interactive_run_can_execute_the_first_worksheet_only(
    datalore: EmulatorProcess, client: Client, notebook: Write
) -> None:
    datalore.set_variant(interactive_worksheets="first")
    opened = Notebook(client, notebook("1", on(1, "2")))
    opened.run_to_end()
    assert (statuses(opened, 0), statuses(opened, 1)) == (["VALID"], ["NONE"])


def test_the_running_cell_may_be_on_another_worksheet(client: Client, notebook: Write, tmp_path: Path) -> None:
    opened = Notebook(client, notebook("1", on(1, gate(tmp_path / "go"))))
    opened.run()
    gate_pid(tmp_path / "go")
    assert opened.json("kernel/status")["runningCellId"] == listed(opened, 1)[0]["cellId"]
    (tmp_path / "go").touch()
    opened.wait_while_busy()


def test_an_isolated_run_executes_all_worksheets_in_their_order(client: Client, notebook: Write) -> None:
    run = client.run(notebook(on(1, "print(a + 1)"), "a = 1"))
    assert run["success"] is True
    assert printed(client.executed(run)) == "2\n"


def test_a_worksheet_is_created_with_one_empty_cell(client: Client, datalore: EmulatorProcess, notebook: Write) -> None:
    opened = Notebook(client, notebook("a = 1"))
    made = opened.json("worksheet/create", name="Analysis")
    assert set(made) == {"worksheetId", "worksheetIndex", "name", "firstCellId"}
    assert (made["worksheetIndex"], made["name"]) == (1, "Analysis")
    [cell] = listed(opened, 1)
    assert (cell["cellId"], cell["cellType"], cell["source"]) == (made["firstCellId"], "CODE", "")
    second = opened.json("cell/create", cellType="CODE", source="print(a)", afterCellId=made["firstCellId"])["cellId"]
    assert [each["cellId"] for each in listed(opened, 1)] == [made["firstCellId"], second]
    assert [each["source"] for each in listed(opened, 0)] == ["a = 1"]
    opened.run_to_end()
    assert statuses(opened, 1) == ["NONE", "VALID"]
    nbformat.validate(nbformat.read(datalore.folder / f"{opened.name}.ipynb", as_version=4))


def test_worksheets_get_names_of_their_own_and_a_place(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook("first", on(1, "second")))
    assert opened.json("worksheet/create")["name"] == "Sheet 3"
    assert opened.json("worksheet/create", worksheetIndex=0, name="Top")["worksheetIndex"] == 0
    assert [listed(opened, number)[0]["source"] for number in range(4)] == ["", "first", "second", ""]
    for fields in ({"worksheetIndex": 9}, {"worksheetIndex": -1}, {"name": ""}):
        assert opened.call("worksheet/create", **fields).status_code == 400
    assert len({opened.json("worksheet/create")["name"] for _ in range(3)}) == 3


@pytest.mark.parametrize("number", [-1, 1.0, True, "1", None, 10**9])
def test_a_number_that_is_not_a_worksheet_is_the_first(client: Client, notebook: Write, number: Any) -> None:
    cell = nbformat.v4.new_code_cell("1", metadata={"datalore": {"worksheet": number}})
    opened = Notebook(client, notebook(cell))
    assert [each["source"] for each in listed(opened, 0)] == ["1"]
    assert opened.call("cells", worksheetIndex=1).status_code == 404


@pytest.mark.parametrize(
    ("call", "field"), [("kernel/restart", "after_restart"), ("agent/stop", "after_stop")], ids=["restart", "stop"]
)
def test_counts_statuses_and_times_are_cleared_with_the_kernel_unless_the_variant_keeps_them(
    datalore: EmulatorProcess, client: Client, notebook: Write, call: str, field: str
) -> None:
    opened = Notebook(client, notebook("print(1)"))
    [before] = opened.run_to_end()
    datalore.set_variant(**{field: "kept"})
    opened.call(call)
    assert opened.cells() == [before]
    opened.run_to_end()
    datalore.set_variant()
    opened.call(call)
    [after] = opened.cells()
    assert (after["executionStatus"], after["executionCount"], after["timing"]) == ("NONE", None, None)
    assert after["outputs"] == before["outputs"]


def test_a_notebook_as_datalore_exports_it_is_served(
    client: Client, datalore: EmulatorProcess, notebook: Write
) -> None:
    exported = nbformat.from_dict(
        {
            "nbformat": 4,
            "nbformat_minor": 4,
            "metadata": {
                "kernelspec": {"display_name": "Python", "language": "python", "name": "python"},
                "datalore": {
                    **{"base_environment": "default", "computation_mode": "JUPYTER", "package_manager": "pip"},
                    **{"packages": [], "version": 1},
                },
            },
            "cells": [
                {
                    "cell_type": "markdown",
                    "source": ["# Sales"],
                    "attachments": {},
                    "metadata": {"datalore": {"type": "MD", "node_id": "h0Jx3yTqBqYyqXz6C2W1aP"}},
                },
                {
                    "cell_type": "code",
                    "source": ["print('sold')"],
                    "execution_count": None,
                    "outputs": [],
                    "metadata": {
                        "datalore": {
                            **{"type": "CODE", "node_id": "eU8ZzVf1m7c5Kq2Lw9R0sN", "report_properties": {}},
                            **{"hide_input_from_viewers": False, "hide_output_from_viewers": False},
                        }
                    },
                },
            ],
        }
    )
    opened = Notebook(client, notebook())
    path = datalore.folder / f"{opened.name}.ipynb"
    nbformat.write(exported, path)
    title, code = opened.json("cells")["cells"]
    assert (title["cellId"], title["cellType"]) == ("h0Jx3yTqBqYyqXz6C2W1aP", "MARKDOWN")
    assert (code["cellId"], code["cellType"], code["data"]) == (
        *("eU8ZzVf1m7c5Kq2Lw9R0sN", "CODE"),
        {"language": "python"},
    )
    assert opened.json("cell/run", cellId=code["cellId"])["stdout"] == "sold\n"
    kept = nbformat.read(path, as_version=4)
    assert kept.nbformat_minor == 4
    assert kept.metadata.datalore == exported.metadata.datalore
    assert kept.cells[1].metadata.datalore == exported.cells[1].metadata.datalore
    assert client.run(opened.id)["success"] is True
