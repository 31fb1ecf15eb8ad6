"""What runs in CI runs as it was reviewed: actions are pinned to a commit, and get no more rights than they need."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.package.conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+(\.\d+){0,2}$")


def jobs(path: Path) -> dict[str, Any]:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {}
    found: dict[str, Any] = workflow["jobs"]
    return found


def test_there_are_workflows() -> None:
    assert {path.name for path in WORKFLOWS} >= {"checks.yml", "release.yml"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_to_a_commit_and_say_its_version(path: Path) -> None:
    lines = [line.strip().removeprefix("- ") for line in path.read_text().splitlines() if "uses:" in line]
    assert not [line for line in lines if not PINNED.fullmatch(line)]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_job_has_a_time_limit_and_says_what_it_may(path: Path) -> None:
    for name, job in jobs(path).items():
        assert job["timeout-minutes"] <= 60, name
        assert "permissions" in job, name


def test_only_these_jobs_may_write() -> None:
    may = [
        (path.name, name)
        for path in WORKFLOWS
        for name, job in jobs(path).items()
        if "write" in job["permissions"].values()
    ]
    assert sorted(may) == [
        ("codeql.yml", "analyze"),
        ("pages.yml", "publish"),
        *(("release.yml", name) for name in ("attest", "publish", "release")),
    ]


def test_what_is_published_was_attested_before() -> None:
    jobs_of_release = jobs(ROOT / ".github" / "workflows" / "release.yml")
    attested = [
        step for step in jobs_of_release["attest"]["steps"] if step.get("uses", "").startswith("actions/attest@")
    ]
    assert [step["with"]["subject-path"] for step in attested] == ["dist/*", "dist/*"]
    assert ["sbom-path" in step["with"] for step in attested] == [False, True]
    assert "attest" in jobs_of_release["publish"]["needs"]


def test_the_next_airflow_is_tested_on_a_schedule() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "next.yml").read_text())
    # YAML reads the key "on" as true.
    assert workflow[True]["schedule"]
    assert [step["run"] for step in workflow["jobs"]["tests"]["steps"] if "run" in step] == ["make test-next"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_runs_make_targets_that_are_there(path: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z0-9-]+)", path.read_text()))
    assert named <= targets
