"""The buttons of a task."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import XCom

from airflow_provider_datalore.links.datalore import DataloreExecutedNotebookLink, DataloreNotebookLink


@pytest.mark.parametrize(
    ("link", "name", "key"),
    [
        (DataloreNotebookLink(), "Datalore notebook", "notebook_url"),
        (DataloreExecutedNotebookLink(), "Executed notebook", "executed_notebook_url"),
    ],
)
def test_a_button_leads_to_what_the_task_pushed(
    monkeypatch: pytest.MonkeyPatch, link: Any, name: str, key: str
) -> None:
    pushed = {key: "https://datalore.example/there"}
    monkeypatch.setattr(XCom, "get_value", lambda *, ti_key, key: pushed.get(key) if ti_key == "the task" else None)
    assert link.name == name
    assert link.xcom_key == key
    assert link.get_link(None, ti_key="the task") == "https://datalore.example/there"
    assert link.get_link(None, ti_key="a task that pushed nothing") == ""
