"""The OpenLineage metadata of a task; an error in it never fails the task."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.notebooks.failure import CellFailure
from airflow_provider_datalore.operators.datalore import DataloreRunNotebookOperator
from airflow_provider_datalore.tasks.outcome import Outcome

CLOUD = '{"conn_type": "datalore", "password": "dl-token-0123456789abcdef"}'


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> DataloreRunNotebookOperator:
    monkeypatch.setenv("AIRFLOW_CONN_DATALORE_DEFAULT", CLOUD)
    return DataloreRunNotebookOperator(task_id="task", notebook_id="ann/sales")


def metadata(task: DataloreRunNotebookOperator) -> Any:
    lineage = task.get_openlineage_facets_on_complete(None)
    assert lineage is not None
    return lineage


def test_the_notebook_is_known_before_the_run_ends(task: DataloreRunNotebookOperator) -> None:
    lineage: Any = task.get_openlineage_facets_on_start()
    assert lineage.run_facets == {}
    assert lineage.job_facets["sourceCodeLocation"].url == "https://datalore.jetbrains.com/notebook/ann/sales"


def test_the_failed_cell_is_an_error_message(task: DataloreRunNotebookOperator) -> None:
    failure = CellFailure("cell 2", 2, "x", "KeyError", "'a'", "Traceback…", "", "python")
    task.outcome = Outcome(Run(run_id="run-1", notebook_id="ann/sales"), failure=failure)
    facet = task.get_openlineage_facets_on_failure(None).run_facets["errorMessage"]  # type: ignore[union-attr]
    assert facet.message == "KeyError: 'a' in cell 2"
    assert (facet.stackTrace, facet.programmingLanguage) == ("Traceback…", "python")


def test_no_connection_is_requested_from_airflow(
    task: DataloreRunNotebookOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow may never respond there; a pasted address is known without a request."""
    monkeypatch.delenv("AIRFLOW_CONN_DATALORE_DEFAULT")
    assert metadata(task).job_facets == {}
    task.notebook_id = "https://datalore.example.com/notebook/ann/sales?x"
    assert metadata(task).job_facets["sourceCodeLocation"].url == "https://datalore.example.com/notebook/ann/sales"


def test_the_started_run_and_the_link_of_the_task_are_used(
    task: DataloreRunNotebookOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_DATALORE_DEFAULT")
    task.started_run_id, task.notebook_url = "run-1", "https://datalore.example.com/notebook/ann/sales"
    facet = metadata(task).run_facets["externalQuery"]
    assert (facet.externalQueryId, facet.source) == ("run-1", "https://datalore.example.com/notebook/ann/sales")


@pytest.mark.parametrize("notebook_id", ["{{ not_rendered }}", "", None, 3])
def test_with_an_invalid_id_only_the_link_is_missing(task: DataloreRunNotebookOperator, notebook_id: Any) -> None:
    task.notebook_id = notebook_id
    assert metadata(task).job_facets == {}


def test_without_the_openlineage_provider_there_is_no_metadata_and_no_error(
    task: DataloreRunNotebookOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "airflow.providers.openlineage.extractors", None)
    assert task.get_openlineage_facets_on_start() is None
    assert task.get_openlineage_facets_on_complete(None) is None
    assert task.get_openlineage_facets_on_failure(None) is None
