"""The files that the pages on the catalog show are the files that users copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "howto" / "catalog.md"
CI_PAGE = ROOT / "docs" / "howto" / "check-dags.md"
WORKFLOW = ROOT / "docs" / "ci" / "check-dags.yml"


def test_the_workflow_on_the_page_is_the_file_that_users_copy() -> None:
    assert f"```yaml\n{WORKFLOW.read_text()}```" in CI_PAGE.read_text()


def test_the_workflow_is_one_and_uses_commands_that_exist() -> None:
    workflow: Any = yaml.safe_load(WORKFLOW.read_text())
    steps = workflow["jobs"]["check"]["steps"]
    commands = "\n".join(step.get("run", "") for step in steps)
    assert "airflow-datalore check --offline dags" in commands
    assert "airflow-datalore lock --check --file dags/datalore.lock" in commands


def test_the_lock_file_on_the_page_is_that_of_the_examples() -> None:
    first = (ROOT / "example_dags" / "datalore.lock").read_text().splitlines()[:34]
    assert "\n".join(first) in PAGE.read_text()
