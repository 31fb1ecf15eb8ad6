"""Running, creating, editing and deleting single cells by the Notebook API, in real kernels."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import nbformat
import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, Write, gate, gate_pid, wait_until, write_notebook
from tests.emulator.notebook_client import Notebook, control

RESULT_FIELDS = {
    *("cellId", "executionStatus", "executionCount", "timing", "outputs"),
    *("stdout", "stdoutTruncated", "stderr", "stderrTruncated"),
    *("errorMessage", "errorTraceback", "errorTracebackTruncated"),
}


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """An emulator that waits for the end of a cell only shortly."""
    with EmulatorProcess(tmp_path_factory.mktemp("impatient"), "--run-window", "0.5") as process:
        yield process


def ids(opened: Notebook, worksheet: int = 0) -> list[str]:
    return [cell["cellId"] for cell in opened.json("cells", worksheetIndex=worksheet)["cells"]]


def sources(opened: Notebook) -> list[str]:
    return [cell["source"] for cell in opened.json("cells")["cells"]]


def test_a_cell_is_returned_with_its_outputs(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook("print('one')", "2"))
    listed = opened.run_to_end()
    assert opened.json("cell", cellId=listed[1]["cellId"]) == {"cell": listed[1]}
    assert (listed[1]["position"], listed[1]["outputs"][0]["text"]) == (1, "2")
    assert opened.call("cell", cellId="none").status_code == 404


def test_a_cell_that_is_run_starts_the_kernel_and_returns_its_result(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook("seen = 41", "import sys\nprint(seen + 1)\nprint('!', file=sys.stderr)\nseen"))
    first, second = ids(opened)
    assert opened.json("cell/run", cellId=first)["executionStatus"] == "VALID"
    result = opened.json("cell/run", cellId=second)
    assert set(result) == RESULT_FIELDS
    assert (result["cellId"], result["executionStatus"], result["executionCount"]) == (second, "WARNING", 2)
    assert (result["stdout"], result["stderr"], result["errorMessage"]) == ("42\n", "!\n", None)
    assert result["outputs"][-1] == {"outputType": "LAST_EXPRESSION", "text": "41", "truncated": False}
    assert result["timing"]["durationMs"] >= 0
    assert opened.json("cell/outputs", cellId=second) == result
    assert opened.state() == "READY"


def test_a_cell_that_fails_returns_its_error(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook("{}['sold']"))
    result = opened.json("cell/run", cellId=ids(opened)[0])
    assert (result["executionStatus"], result["errorMessage"]) == ("ERROR", "KeyError: 'sold'")
    assert "Traceback" in result["errorTraceback"]


def test_long_output_is_cut_and_flagged(client: Client, notebook: Write) -> None:
    printing = "import sys\nprint('o' * 10_001)\nprint('e' * 10_001, file=sys.stderr)\nraise ValueError('v' * 10_001)"
    opened = Notebook(client, notebook(printing, "'x' * 100_001"))
    failing, long = ids(opened)
    result = opened.json("cell/run", cellId=failing)
    for name in ("stdout", "stderr", "errorTraceback"):
        assert (len(result[name]), result[f"{name}Truncated"]) == (10_000, True)
    [output] = opened.json("cell/run", cellId=long)["outputs"]
    assert (len(output["text"]), output["truncated"]) == (100_000, True)


def test_a_cell_that_does_not_end_in_time_keeps_running(impatient: EmulatorProcess, tmp_path: Path) -> None:
    opened = Notebook(Client(impatient), write_notebook(impatient.folder, "slow", gate(tmp_path / "go"), "print(1)"))
    slow, next_cell = ids(opened)
    result = opened.json("cell/run", cellId=slow)
    assert (result["executionStatus"], result["cellId"]) == ("TIMEOUT", slow)
    gate_pid(tmp_path / "go")
    assert opened.json("kernel/status") == {"state": "BUSY", "runningCellId": slow}
    assert opened.json("cell/outputs", cellId=slow)["executionStatus"] == "STARTED"
    assert opened.json("cell/run", cellId=next_cell)["executionStatus"] == "TIMEOUT"
    assert opened.json("cell/outputs", cellId=next_cell)["executionStatus"] == "WAITING"
    (tmp_path / "go").touch()
    wait_until(lambda: opened.json("cell/outputs", cellId=next_cell)["executionStatus"] == "VALID")
    assert opened.statuses() == ["VALID", "VALID"]


def test_the_wait_can_be_shorter_but_not_longer_than_documented(
    client: Client, notebook: Write, tmp_path: Path
) -> None:
    opened = Notebook(client, notebook(gate(tmp_path / "go")))
    [cell] = ids(opened)
    assert opened.call("cell/run", cellId=cell, timeoutMs=30_001).status_code == 400
    assert opened.json("cell/run", cellId=cell, timeoutMs=200)["executionStatus"] == "TIMEOUT"
    gate_pid(tmp_path / "go")
    assert opened.json("kernel/interrupt") == {"interrupted": True}
    opened.wait_while_busy()
    assert opened.json("cell/outputs", cellId=cell)["errorMessage"].startswith("KeyboardInterrupt")


def test_a_busy_kernel_can_refuse_another_cell(
    datalore: EmulatorProcess, client: Client, notebook: Write, tmp_path: Path
) -> None:
    datalore.set_variant(cell_run_while_busy="409")
    opened = Notebook(client, notebook(gate(tmp_path / "go"), "2"))
    busy, other = ids(opened)
    opened.json("cell/run", cellId=busy, timeoutMs=0)
    gate_pid(tmp_path / "go")
    for call, fields in (("cell/run", {"cellId": other}), ("cells/run", {"cellIds": [other]})):
        response = opened.call(call, **fields)
        assert (response.status_code, response.json()["state"]) == (409, "BUSY")
    (tmp_path / "go").touch()
    opened.wait_while_busy()
    assert opened.json("cell/run", cellId=other)["executionStatus"] == "VALID"


def test_cells_are_run_in_the_requested_order(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook("order = globals().get('order', '') + 'a'", "order += 'b'", "print(order)"))
    first, second, last = ids(opened)
    opened.json("cell/run", cellId=first)
    batch = opened.json("cells/run", cellIds=[second, first, last])
    assert [result["cellId"] for result in batch["results"]] == [second, first, last]
    assert (batch["stopped"], batch["stoppedReason"], batch["results"][-1]["stdout"]) == (False, None, "aba\n")
    assert set(batch["results"][0]) == RESULT_FIELDS


def test_a_batch_stops_at_an_error_unless_told_otherwise(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook("1", "1 / 0", "3"))
    cells = ids(opened)
    batch = opened.json("cells/run", cellIds=cells)
    assert ([each["executionStatus"] for each in batch["results"]], batch["stopped"]) == (["VALID", "ERROR"], True)
    assert batch["stoppedReason"] == "error"
    batch = opened.json("cells/run", cellIds=cells, stopOnError=False)
    assert [each["executionStatus"] for each in batch["results"]] == ["VALID", "ERROR", "VALID"]
    assert (batch["stopped"], batch["stoppedReason"]) == (False, None)


def test_a_batch_stops_at_a_cell_that_does_not_end_in_time(client: Client, notebook: Write, tmp_path: Path) -> None:
    opened = Notebook(client, notebook(gate(tmp_path / "go"), "2"))
    batch = opened.json("cells/run", cellIds=ids(opened), timeoutMs=300)
    assert ([each["executionStatus"] for each in batch["results"]], batch["stopped"]) == (["TIMEOUT"], True)
    assert batch["stoppedReason"] == "timeout"
    (tmp_path / "go").touch()
    opened.wait_while_busy()
    assert opened.statuses() == ["VALID", "NONE"]


def test_what_cannot_be_run_is_refused(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook(nbformat.v4.new_markdown_cell("# Title"), control("CHECKBOX", "x", value=True)))
    text, checkbox = ids(opened)
    assert opened.call("cell/run", cellId=text).status_code == 400
    assert opened.json("cell/run", cellId=checkbox)["executionStatus"] == "VALID"
    for cells, status in (([], 400), ([text], 400), ([checkbox], 400), (["none"], 404)):
        response = opened.call("cells/run", cellIds=cells)
        assert (response.status_code, bool(response.json()["error"])) == (status, True)


@pytest.mark.parametrize("minor", [4, 5])
def test_cells_are_created_edited_and_deleted_in_the_file(
    client: Client, datalore: EmulatorProcess, notebook: Write, minor: int
) -> None:
    opened = Notebook(client, notebook("a = 1"))
    path = datalore.folder / f"{opened.name}.ipynb"
    if minor == 4:
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("a = 1")])
        made.nbformat_minor = 4
        del made.cells[0]["id"]
        nbformat.write(made, path)
    [first] = ids(opened)
    last = opened.json("cell/create", cellType="CODE", source="print(a)", data={"language": "python"})["cellId"]
    top = opened.json("cell/create", cellType="MARKDOWN", source="# Top", beforeCellId=first)
    middle = opened.json("cell/create", cellType="CODE", source="a += 1", afterCellId=first, run=False)["cellId"]
    assert top["runResult"] is None
    assert ids(opened) == [top["cellId"], first, middle, last]
    assert sources(opened) == ["# Top", "a = 1", "a += 1", "print(a)"]
    assert opened.json("cell/edit", cellId=middle, newContent="a += 41") == {
        **{"cellId": middle, "applied": True, "runResult": None}
    }
    assert opened.call("cell/delete", cellId=top["cellId"]).status_code == 204
    assert ids(opened) == [first, middle, last]
    written = nbformat.read(path, as_version=4)
    nbformat.validate(written)
    assert [cell.source for cell in written.cells] == ["a = 1", "a += 41", "print(a)"]
    assert opened.json("cells/run", cellIds=[first, middle, last])["results"][-1]["stdout"] == "42\n"


def test_a_cell_can_be_run_as_it_is_created_or_edited(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook())
    made = opened.json("cell/create", cellType="CODE", source="print(6 * 7)", run=True)
    assert (made["runResult"]["cellId"], made["runResult"]["stdout"]) == (made["cellId"], "42\n")
    edited = opened.json("cell/edit", cellId=made["cellId"], newContent="1 / 0", run=True, timeoutMs=30_000)
    assert edited["runResult"]["errorMessage"] == "ZeroDivisionError: division by zero"


def test_a_control_can_be_created_and_run(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook("print(region)"))
    [printing] = ids(opened)
    described = {"controlType": "DROPDOWN", "label": "Region", "variable": "region", "items": ["EU", "US"]}
    made = opened.json(
        "cell/create",
        cellType="CONTROL",
        data={"control": {**described, "selectedValue": "US", "multiselect": False}},
        beforeCellId=printing,
        run=True,
    )
    assert made["runResult"]["executionStatus"] == "VALID"
    [cell] = opened.json("cells")["cells"][:1]
    assert (cell["cellType"], cell["source"], cell["data"]["control"]["items"]) == ("CONTROL", "", ["EU", "US"])
    assert opened.json("cell/run", cellId=printing)["stdout"] == "US\n"


@pytest.mark.parametrize(
    ("call", "fields", "status"),
    [
        ("cell/create", {"cellType": "TABLE"}, 400),
        ("cell/create", {"cellType": "CODE", "data": {"language": "cobol"}}, 400),
        ("cell/create", {"cellType": "CODE", "data": {"databaseId": "x"}}, 400),
        ("cell/create", {"cellType": "CODE", "content": "1"}, 400),
        ("cell/create", {"cellType": "CONTROL"}, 400),
        ("cell/create", {"cellType": "CONTROL", "data": {"control": {"controlType": "KNOB"}}}, 400),
        ("cell/create", {"cellType": "MARKDOWN", "run": True}, 400),
        ("cell/create", {"cellType": "CODE", "afterCellId": "a", "beforeCellId": "b"}, 400),
        ("cell/create", {"cellType": "CODE", "afterCellId": "none"}, 404),
        ("cell/edit", {"cellId": "CELL", "newContent": "1", "data": {"databaseId": "x"}}, 400),
        ("cell/edit", {"cellId": "CELL", "source": "1"}, 400),
        ("cell/edit", {"cellId": "none", "newContent": "1"}, 404),
        ("cell/delete", {"cellId": "none"}, 404),
        ("cell/run", {"cellId": "none"}, 404),
    ],
)
def test_an_edit_that_is_not_possible_changes_nothing(
    client: Client, notebook: Write, call: str, fields: dict[str, Any], status: int
) -> None:
    opened = Notebook(client, notebook("1"))
    before = opened.json("cells")["cells"]
    fields = {name: before[0]["cellId"] if value == "CELL" else value for name, value in fields.items()}
    response = opened.call(call, **fields)
    assert (response.status_code, bool(response.json()["error"])) == (status, True)
    assert opened.json("cells")["cells"] == before


def test_a_notebook_can_be_edited_while_it_runs(client: Client, notebook: Write, tmp_path: Path) -> None:
    opened = Notebook(client, notebook("print('first')", gate(tmp_path / "go"), "print('last')"))
    first, waiting, last = ids(opened)
    opened.run()
    gate_pid(tmp_path / "go")
    response = opened.call("cell/delete", cellId=waiting)
    assert (response.status_code, response.json()["state"]) == (409, "BUSY")
    opened.json("cell/edit", cellId=last, newContent="print('edited')")
    added = opened.json("cell/create", cellType="CODE", source="print('added')", beforeCellId=first)["cellId"]
    assert opened.call("cell/delete", cellId=first).status_code == 204
    (tmp_path / "go").touch()
    opened.wait_while_busy()
    cells = {cell["cellId"]: cell for cell in opened.cells()}
    assert list(cells) == [added, waiting, last]
    assert cells[last]["outputs"][0]["text"] == "edited\n"
    assert (cells[added]["executionStatus"], cells[added]["outputs"]) == ("NONE", [])


def test_an_sql_cell_reads_a_database_beside_the_notebook(
    client: Client, datalore: EmulatorProcess, notebook: Write
) -> None:
    opened = Notebook(client, notebook("print(len(sold))", owner="sql"))
    with closing(sqlite3.connect(datalore.folder / "sql" / "shop.db")) as connection, connection:
        connection.execute("CREATE TABLE sales (item)")
        connection.execute("INSERT INTO sales VALUES ('tea'), ('jam')")
    [listed] = opened.json("databases")["databases"]
    assert listed == {"databaseId": "shop.db", "name": "shop", "driver": "SQLite", "hasSchema": False}
    [printing] = ids(opened)
    data = {"databaseId": "shop.db", "variableName": "sold"}
    made = opened.json(
        "cell/create", cellType="SQL", source="SELECT * FROM sales", data=data, beforeCellId=printing, run=True
    )
    assert made["runResult"]["executionStatus"] == "VALID", made["runResult"]
    [cell] = opened.json("cells")["cells"][:1]
    assert (cell["cellType"], cell["source"], cell["data"]) == ("SQL", "SELECT * FROM sales", data)
    assert opened.json("cells/run", cellIds=[made["cellId"], printing])["results"][1]["stdout"] == "2\n"
    edited = opened.json(
        "cell/edit", cellId=made["cellId"], newContent="SELECT * FROM gone", data={"variableName": "lost"}, run=True
    )
    assert edited["runResult"]["errorMessage"] == "OperationalError: no such table: gone"
    opened.json("cell/edit", cellId=made["cellId"], newContent="SELECT 1", data={"databaseId": "none.db"})
    result = opened.json("cell/run", cellId=made["cellId"])
    assert "no database 'none.db'" in result["errorMessage"]
    run = client.run(opened.id)
    assert run["success"] is False


def test_a_cell_in_another_language_than_the_notebooks_fails_in_words(client: Client, notebook: Write) -> None:
    opened = Notebook(client, notebook())
    made = opened.json("cell/create", cellType="CODE", source="println(1)", data={"language": "kotlin"}, run=True)
    assert made["runResult"]["executionStatus"] == "ERROR"
    assert "is in kotlin" in made["runResult"]["errorMessage"]
    assert opened.json("cells")["cells"][0]["data"] == {"language": "kotlin"}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("from IPython.display import HTML; HTML('<b>1</b>')", "HTML"),
        ("from IPython.display import Markdown; Markdown('# 1')", "MARKDOWN"),
        ("from IPython.display import SVG; SVG('<svg/>')", "SVG"),
        ("from IPython.display import Latex; Latex('$1$')", "LATEX"),
        ("import pandas; pandas.DataFrame({'a': [1]})", "TABLE"),
        ("display({'application/vnd.plotly.v1+json': {'data': []}}, raw=True)", "PLOTLY"),
        ("display({'application/vnd.vegalite.v5+json': {'mark': 'bar'}}, raw=True)", "VEGA"),
    ],
)
def test_an_output_has_the_type_that_datalore_gives_it(client: Client, notebook: Write, code: str, kind: str) -> None:
    opened = Notebook(client, notebook(code))
    [output] = opened.json("cell/run", cellId=ids(opened)[0])["outputs"]
    assert (output["outputType"], output["truncated"]) == (kind, False)
    assert isinstance(output["text"], str)
