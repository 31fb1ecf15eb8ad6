"""The run of a task is stored for its next tries in any storage that artifacts can be saved in."""

from __future__ import annotations

import pytest

from airflow_provider_datalore.api.notebook_id import NotebookId
from airflow_provider_datalore.tasks.run_store import RunStore
from tests.artifacts.conftest import Place
from tests.tasks.conftest import Context

NOTEBOOK = NotebookId("ann", "sales")


def test_a_run_is_found_until_it_is_forgotten(place: Place, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    del context["task_state_store"]
    monkeypatch.setenv("AIRFLOW__DATALORE__RUN_STORE", place.destination)
    RunStore(context, durable=True).remember(NOTEBOOK, "run-1", "")
    retry = RunStore(context, durable=True)
    assert retry.recall(NOTEBOOK, str) == "run-1"
    assert len(place.files()) == 1
    retry.forget()
    assert retry.recall(NOTEBOOK, str) is None
    assert place.files() == {}
    assert place.leftovers() == []


def test_old_entries_are_removed(place: Place, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    del context["task_state_store"]
    monkeypatch.setenv("AIRFLOW__DATALORE__RUN_STORE", place.destination)
    RunStore(context, durable=True, key="earlier").remember(NOTEBOOK, "run-1", "")
    monkeypatch.setattr("airflow_provider_datalore.tasks.state_stores.MAX_ENTRY_AGE", -60.0)
    RunStore(context, durable=True).remember(NOTEBOOK, "run-2", "")
    assert place.files() == {}
