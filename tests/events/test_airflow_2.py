"""On Airflow 2, which has no event triggers, the module can be imported, and the class says what it requires."""

from __future__ import annotations

import pytest
from airflow import __version__ as AIRFLOW  # noqa: N812

from airflow_provider_datalore.exceptions import DataloreConfigurationError
from airflow_provider_datalore.triggers.datalore import DataloreNotebookTrigger, DataloreRunTrigger


@pytest.mark.skipif(not AIRFLOW.startswith("2."), reason="Airflow 3 has event triggers")
def test_it_says_that_it_requires_airflow_3() -> None:
    assert DataloreRunTrigger("run-1").run_id == "run-1"
    with pytest.raises(DataloreConfigurationError, match="requires Airflow 3"):
        DataloreNotebookTrigger("ann/sales")
