"""`make test-next` finds the newest pre-release of Airflow, and says so if there is none."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from dev import next_airflow

RELEASES = {"disallow": "3.3.2", "allow": "3.4.0b2"}


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the package index has: the newest release, and the newest of all."""
    versions = dict(RELEASES)

    def run(command: list[str], wanted: str = "", *options: str) -> str:
        mode = command[command.index("--prerelease") + 1]
        if "==" not in wanted:
            return f"apache-airflow=={versions[mode]}\n"
        return f"{wanted}\napache-airflow-core==3.4.0b2\napache-airflow-task-sdk==1.4.0b2\nprotobuf==7.37.0rc1\n"

    monkeypatch.setattr(next_airflow, "_run", run)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    return versions


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that are run for the tests."""
    run: list[list[str]] = []

    def note(command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        run.append(command)
        return subprocess.CompletedProcess(command, 7)

    monkeypatch.setattr("dev.next_airflow.subprocess.run", note)
    monkeypatch.setattr(sys, "argv", ["next_airflow", "tests/tasks", "-x"])
    return run


def test_it_tests_the_pre_release(index: dict[str, str], commands: list[list[str]]) -> None:
    with pytest.raises(SystemExit) as ended:
        next_airflow.main()
    assert ended.value.code == 7
    assert commands == [
        [
            *("make", "test", "AIRFLOW=3.4.0b2"),
            "PINS=apache-airflow-core==3.4.0b2 apache-airflow-task-sdk==1.4.0b2",
            "ARGS=tests/tasks -x",
        ]
    ]


@pytest.mark.parametrize("latest", ["3.3.2", "3.3.2rc1"])
def test_it_says_that_there_is_none(
    index: dict[str, str], commands: list[list[str]], capsys: pytest.CaptureFixture[str], latest: str
) -> None:
    index["allow"] = latest
    next_airflow.main()
    assert "no pre-release of Airflow that is newer than 3.3.2" in capsys.readouterr().out
    assert commands == []


def test_an_index_that_cannot_be_reached_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        next_airflow, "_compile", lambda *_: [sys.executable, "-c", "import sys; sys.exit('no network')"]
    )
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(SystemExit, match="no network"):
        next_airflow.main()
