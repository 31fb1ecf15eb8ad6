"""One emulator for each Datalore that a file beside this one describes, and what a task sees when it runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_datalore.api import interactive_conditions
from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.cli.probed import LIKES, fields, running, write_notebooks
from tests.tasks.conftest import context, logged, quick, store, task_instance

__all__ = ["context", "logged", "quick", "store", "task_instance"]


@pytest.fixture(scope="module", params=LIKES, ids=lambda file: file.stem)
def played(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The fields of the Datalore that is played."""
    return fields(request.param)


@pytest.fixture(scope="module")
def likened(played: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    folder = tmp_path_factory.mktemp("likened")
    write_notebooks(folder / "notebooks")
    file = folder / "like.json"
    file.write_text(json.dumps(played))
    with running(folder / "notebooks", "--like", str(file), data=folder / "data") as process:
        yield process


@pytest.fixture
def datalore(likened: EmulatorProcess, monkeypatch: pytest.MonkeyPatch) -> EmulatorProcess:
    """The emulator, and connection ``datalore_default`` to it."""
    monkeypatch.setenv("AIRFLOW_CONN_DATALORE_DEFAULT", json.dumps(likened.connection))
    monkeypatch.setattr(interactive_conditions, "IDLE_GRACE", 0.5)
    monkeypatch.setattr(interactive_conditions, "RESULT_GRACE", 0.3)
    return likened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for artifacts."""
    return tmp_path / "artifacts"
