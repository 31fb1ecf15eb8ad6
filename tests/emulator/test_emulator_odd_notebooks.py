"""Notebooks with invalid values that other tools tolerate."""

from __future__ import annotations

import json
from typing import Any

import pytest

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
