"""Notebooks with invalid values that other tools tolerate."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_datalore.emulator import cell_json
from airflow_provider_datalore.emulator.library import read_notebook, write_notebook
from airflow_provider_datalore.emulator.rendering import render
from airflow_provider_datalore.emulator.sessions import Session
from airflow_provider_datalore.emulator.settings import Variant
from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, printed
from tests.emulator.notebook_client import Notebook

STREAM = {"output_type": "stream", "name": "stdout"}

ODD: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "datalore-is-a-list": ({"metadata": {"datalore": []}}, {}),
    "control-is-text": ({"metadata": {"datalore": {"control": "x"}}}, {}),
    "variable-is-a-list": ({"metadata": {"datalore": {"control": {"variable": ["x"]}}}}, {}),
    "tags-are-null": ({"metadata": {"tags": None}}, {}),
    "stream-without-text": ({"outputs": [STREAM]}, {}),
    "stream-with-null": ({"outputs": [{**STREAM, "text": None}]}, {}),
    "kernelspec-is-null": ({}, {"kernelspec": None, "language_info": None}),
}


@pytest.fixture(params=ODD)
def odd(datalore: EmulatorProcess, client: Client, request: pytest.FixtureRequest) -> Notebook:
    """A notebook with a parameter, and with a cell or metadata that are not valid."""
    cell, metadata = ODD[request.param]
    made = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata}
    cells = [code("a", "print('ran')") | cell, code("b", "x = 1", tags=["parameters"]), code("c", "print(x)")]
    (datalore.folder / f"odd-{request.param}.ipynb").write_text(json.dumps({**made, "cells": cells}))
    return Notebook(client, f"me/odd-{request.param}")


def code(identifier: str, source: str, **metadata: Any) -> dict[str, Any]:
    made = {"cell_type": "code", "id": identifier, "source": source, "metadata": metadata}
    return {**made, "outputs": [], "execution_count": None}


def test_an_invalid_notebook_is_listed_and_shown(odd: Notebook) -> None:
    assert [cell["cellId"] for cell in odd.json("cells")["cells"]] == ["a", "b", "c"]
    assert odd.outcome(0)["stdout"] is None
    assert odd.client.get(f"/notebook/{odd.id}").status_code == 200


def test_an_invalid_notebook_runs_with_parameters(client: Client, odd: Notebook) -> None:
    run = client.run(odd.id, parameters=[{"name": "x", "value": "2"}])
    assert run["success"] is True
    assert printed(client.executed(run)) == "ran\n2\n"


def test_an_invalid_notebook_runs_interactively(odd: Notebook) -> None:
    assert [cell["executionStatus"] for cell in odd.run_to_end()] == ["VALID"] * 3
    odd.call("agent/stop")


def write(
    datalore: EmulatorProcess, name: str, cells: list[dict[str, Any]], encoding: str = "utf-8", **top: Any
) -> str:
    """Write a notebook file as it is, without nbformat."""
    made = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells, **top}
    (datalore.folder / f"{name}.ipynb").write_bytes(json.dumps(made, ensure_ascii=False).encode(encoding))
    return f"me/{name}"


def without_id(source: str) -> dict[str, Any]:
    cell = code("", source)
    del cell["id"]
    return cell


@pytest.mark.parametrize(
    "cells",
    [
        [without_id("print(1)"), without_id("1 / 0"), without_id("3")],
        [code("same", "print(1)"), code("same", "1 / 0"), code("same", "3")],
        [code("cell-1", "print(1)"), without_id("1 / 0"), code("", "3")],
        [code("a", "print(1)"), {**code("", "1 / 0"), "id": None}, {**code("", "3"), "id": 7}],
    ],
    ids=["missing", "twice", "clash", "invalid"],
)
@pytest.mark.parametrize("minor", [4, 5])
def test_cells_without_an_id_of_their_own_end_as_they_went(
    datalore: EmulatorProcess, client: Client, cells: list[dict[str, Any]], minor: int
) -> None:
    opened = Notebook(client, write(datalore, "ids", cells, nbformat_minor=minor))
    before = [cell["cellId"] for cell in opened.json("cells")["cells"]]
    assert len(set(before)) == 3
    ran = opened.run_to_end()
    assert [cell["cellId"] for cell in ran] == before
    assert [cell["executionStatus"] for cell in ran] == ["VALID", "ERROR", "NONE"]
    opened.call("agent/stop")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_file_in_another_encoding_is_taken(datalore: EmulatorProcess, client: Client, encoding: str) -> None:
    run = client.run(write(datalore, "encoded", [code("a", "print('ä')")], encoding))
    assert printed(client.executed(run)) == "ä\n"


@pytest.mark.parametrize("cell", [{"cell_type": "code"}, {**code("a", ""), "source": None}, {"outputs": None}], ids=str)
def test_a_cell_without_source_is_an_empty_cell(
    datalore: EmulatorProcess, client: Client, cell: dict[str, Any]
) -> None:
    notebook_id = write(datalore, "empty", [{"cell_type": "code", **cell}, code("b", "print('ran')")])
    assert client.run(notebook_id)["success"] is True
    assert client.get(f"/notebook/{notebook_id}").status_code == 200


@pytest.mark.parametrize("kind", ["sql", "control", None, 5])
def test_a_cell_of_an_unknown_type_is_named_and_shown(datalore: EmulatorProcess, client: Client, kind: Any) -> None:
    sql = {"cell_type": kind, "source": "select 1", "metadata": {}}
    notebook_id = write(datalore, "typed", [code("a", "1"), sql])
    for path in ("/api/run/v1/notebook", "/api/computation/v1/notebook"):
        response = client.post(path, json={"notebookId": notebook_id})
        assert response.status_code == 400
        assert response.json()["error"].startswith("Cell 2 is of type")
    page = client.get(f"/notebook/{notebook_id}")
    assert (page.status_code, "select 1" in page.text) == (200, True)
    assert Notebook(client, notebook_id).call("cells", includeOutputs=True).status_code == 200


@pytest.mark.parametrize(
    "content", ["", "null", "[]", '"text"', "{}", '{"cells": 5}', '{"cells": [5]}', '{"worksheets": 1}', "{", "\0"]
)
def test_what_is_not_a_notebook_is_refused_in_words(datalore: EmulatorProcess, client: Client, content: str) -> None:
    (datalore.folder / "none.ipynb").write_text(content)
    opened = Notebook(client, "me/none")
    for response in (client.submit("me/none"), opened.call("cells"), client.get("/notebook/me/none")):
        if content != '{"worksheets": 1}':
            assert response.status_code == 400
            assert "is not a Jupyter notebook" in response.text
        assert response.status_code < 500


VALUES: st.SearchStrategy[Any] = st.sampled_from([None, 5, "x", [], [None], {}, {"x": None}, [{}], ["x"], True, 1.5])
FIELDS = [
    *("cell_type", "source", "metadata", "outputs", "execution_count", "id", "attachments"),
    *("metadata.tags", "metadata.datalore", "output_type", "data", "text", "name", "ename", "evalue", "traceback"),
]


@st.composite
def cells_with_odd_fields(draw: st.DrawFn) -> dict[str, Any]:
    """A cell with one output, of which some fields have values that they must not have."""
    kind = draw(st.sampled_from(["stream", "error", "display_data"]))
    output: dict[str, Any] = {"output_type": kind, "data": {"text/html": "<b>x</b>"}, "text": "x"}
    cell = code("a", "print(1)") | {"outputs": [output]}
    for name, value in draw(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4)).items():
        if name.startswith("metadata."):
            cell["metadata"] = {name.removeprefix("metadata."): value}
        else:
            (output if name in FIELDS[9:] else cell)[name] = value
    return cell


@given(st.lists(cells_with_odd_fields(), min_size=1, max_size=20))
@settings(max_examples=12, deadline=None)
def test_whatever_the_fields_of_cells_are_they_are_described_and_rendered(cells: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "odd.ipynb")
        made = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"widgets": {"state": {}}}, "cells": cells}
        path.write_text(json.dumps(made))
        notebook = read_notebook(path)
        session = Session(path, asyncio.Semaphore(), lambda work: pytest.fail("not started"), Variant)
        outcomes = [cell_json.outcome(session, notebook, number) for number in range(len(cells))]
        json.dumps([cell_json.details_of_all(session, notebook, 0), outcomes])
        assert "<html" in render(notebook, "odd")
        write_notebook(notebook, path)
        assert len(read_notebook(path).cells) == len(cells)


def test_half_of_a_surrogate_pair_does_not_break_a_run(datalore: EmulatorProcess, client: Client) -> None:
    run = client.run(write(datalore, "surrogate", [code("a", "print('\\\\udc80 ran')")]))
    assert run["endTime"]
    assert "ran" in printed(client.executed(run))
