"""What the rehearsal of a release builds on; `make rehearse-release` itself takes half an hour."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
import venv
from pathlib import Path

import pytest

from airflow_provider_datalore import __version__
from dev.environment import RELEASED
from dev.matrix import AIRFLOWS
from dev.package import unpack
from dev.rehearsal import __main__ as rehearsal
from dev.rehearsal.installations import RELEASED_BEFORE, RehearsalError, installations
from dev.rehearsal.packages import PACKAGE, Environment, local_index
from dev.rehearsal.upgrade import EXECUTIONS, FORMER, UpgradeError, build_former, version_of, write_notebook
from tests.package.conftest import ROOT


def test_every_supported_airflow_is_installed_in_three_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dev.rehearsal.installations.choose_interpreter", lambda _: True)
    found = [(installation.airflow, installation.kind) for installation in installations()]
    assert found == [(airflow, kind) for airflow in AIRFLOWS for kind in ("plain", "extras", "constraints")]


@pytest.mark.parametrize("arguments", [["--only", "typo"], ["--upgrade-on", "3.9"]])
def test_a_rehearsal_of_nothing_does_not_pass(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dev.rehearsal.installations.choose_interpreter", lambda _: True)
    with pytest.raises(SystemExit) as refused:
        rehearsal.main(arguments)
    assert refused.value.code == 2


def test_for_each_airflow_it_is_known_what_its_constraints_have() -> None:
    assert set(RELEASED) | set(RELEASED_BEFORE) == set(AIRFLOWS)


def test_the_index_serves_what_was_built(distributions: dict[str, Path], tmp_path: Path) -> None:
    with local_index(distributions["wheel"].parent, tmp_path / "index.log") as index:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{index}{PACKAGE}/", timeout=30) as page:
            text = page.read().decode()
    for path in distributions.values():
        assert f"{path.name}#sha256=" in text


def test_it_notices_that_something_else_was_installed(distributions: dict[str, Path], tmp_path: Path) -> None:
    venv.create(tmp_path / "environment", symlinks=True)
    environment = Environment(tmp_path / "environment", "")
    [packages] = (tmp_path / "environment" / "lib").glob("python3*/site-packages")
    assert f"{PACKAGE.replace('-', '_')}/__init__.py" in environment.differences_from(distributions["wheel"])
    unpack(distributions["wheel"], packages)
    assert environment.differences_from(distributions["wheel"]) == []
    (packages / "airflow_provider_datalore" / "xcom.py").write_text("RUN_ID = 'another'\n")
    assert environment.differences_from(distributions["wheel"]) == ["airflow_provider_datalore/xcom.py"]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout, such as an unpacked sdist")
def test_an_earlier_commit_becomes_a_version_to_upgrade_from(tmp_path: Path) -> None:
    # A clone without history, as in some CI, does not have it.
    ask = ["git", "cat-file", "-e", FORMER]
    has_former = subprocess.run(ask, cwd=ROOT, capture_output=True, check=False).returncode == 0
    wheel = build_former(FORMER if has_former else "HEAD", tmp_path / "former", __version__)
    assert version_of(wheel) == f"{__version__}.dev0"


def test_a_commit_that_is_not_there_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UpgradeError, match=r"(?s)no-such-commit.*history"):
        build_former("no-such-commit", tmp_path / "former", __version__)
    assert len(FORMER) == 40


def test_a_step_that_fails_is_reported_and_does_not_stop_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise RehearsalError("The demo failed")

    assert rehearsal._passes("airflow-2.11.2-plain", fail) is False
    assert "airflow-2.11.2-plain FAILED. The demo failed" in capsys.readouterr().out
    assert rehearsal._passes("upgrade", lambda: None) is True


def test_a_notebook_of_the_upgrade_waits_and_leaves_a_mark(tmp_path: Path) -> None:
    write_notebook(tmp_path / "me" / "run.ipynb", tmp_path / "go", tmp_path / "executed")
    (tmp_path / "go").touch()
    [cell] = json.loads((tmp_path / "me" / "run.ipynb").read_text())["cells"]
    for _ in range(EXECUTIONS["interactive"]):
        subprocess.run([sys.executable, "-c", cell["source"]], check=True)
    assert (tmp_path / "executed").read_text().splitlines() == ["executed"] * EXECUTIONS["interactive"]
