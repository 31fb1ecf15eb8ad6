"""The commands and names of the first steps: what a newcomer copies works, and leaves the checkout as it was."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_datalore.emulator.options import parse
from airflow_provider_datalore.emulator.testing import EmulatorProcess
from airflow_provider_datalore.get_provider_info import connection_type
from airflow_provider_datalore.transport.connection import DataloreConnection
from dev.local_airflow import inherited_env
from tests.docs.test_documentation import DOCS, ROOT, blocks
from tests.emulator.emulator_client import Client
from tests.emulator.notebook_client import Notebook

CONNECTION_PAGE = DOCS / "connection.md"
FIELDS = {"API token", "Connection Type", "Host", "Schema", "Port", "Login"}
"""The form's own fields of a connection of this type, under the labels that it gives them; Login is hidden."""


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    done = subprocess.run(
        ["/usr/bin/env", "git", *identity, *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout


def test_the_quick_start_leaves_the_checkout_clean(tmp_path: Path) -> None:
    lines = [line for block in blocks(ROOT / "README.md", "shell") for line in block.splitlines()]
    [command] = [line for line in lines if line.startswith("datalore-emulator ")]
    folder, *options = shlex.split(command)[1:]
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns(".*"))
    git(checkout, "init", "--quiet")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", "notebooks")
    with EmulatorProcess(checkout / folder, *options) as process:
        client = Client(process)
        assert client.run("me/daily_sales", directFileStorageWrite=True)["success"] is True
        assert client.run("team/stock_check", updateReport="on success")["success"] is True
        assert {cell["executionStatus"] for cell in Notebook(client, "me/forecast").run_to_end()} <= {"VALID", "NONE"}
    assert git(checkout, "status", "--porcelain", "--ignored") == ""


def typed(commands: list[str], folder: Path, process: EmulatorProcess, home: Path) -> subprocess.CompletedProcess[str]:
    """What comes out of commands in a shell with the connection that the emulator prints."""
    env = inherited_env() | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_DATALORE_DEFAULT": json.dumps(process.connection),
    }
    shell = ["/bin/sh", "-c", "\n".join(commands)]
    return subprocess.run(shell, cwd=folder, env=env, check=False, capture_output=True, text=True, timeout=240)


def test_a_newcomer_sees_a_renamed_control_before_anything_runs(tmp_path: Path) -> None:
    lines = [line for block in blocks(ROOT / "README.md", "shell") for line in block.splitlines()]
    [emulator] = [line for line in lines if line.startswith("datalore-emulator ")]
    [lock] = [line for line in lines if line.startswith("airflow-datalore lock ")]
    check, check_again = [line for line in lines if line.startswith("airflow-datalore check ")]
    [rename] = [line for line in lines if line.startswith("sed ")]
    [undo] = [line for line in lines if line.startswith("mv ")]
    folder, *options = shlex.split(emulator)[1:]
    checkout, home = tmp_path / "checkout", tmp_path / "airflow"
    shutil.copytree(
        ROOT / "example_dags", checkout / "example_dags", ignore=shutil.ignore_patterns(".*", "__pycache__")
    )
    before = {path: path.read_bytes() for path in checkout.rglob("*.ipynb*")}
    with EmulatorProcess(checkout / folder, *options) as process:
        first = typed([lock, check], checkout, process, home)
        assert typed([rename], checkout, process, home).returncode == 0
    assert first.returncode == 0, first.stdout + first.stderr
    assert "is up to date" in first.stdout
    assert " 0 with problems." in first.stdout
    with EmulatorProcess(checkout / folder, *options) as process:
        second = typed([check_again], checkout, process, home)
        assert process.runs() == []
        assert typed([undo], checkout, process, home).returncode == 0
    assert second.returncode == 1
    assert "control 'region' was renamed to 'area'" in second.stdout
    assert {path: path.read_bytes() for path in checkout.rglob("*.ipynb*")} == before


def test_the_quick_start_uses_the_default_port_that_it_names() -> None:
    _, options = parse([str(ROOT / "example_dags" / "notebooks"), "--copy"])
    assert f"on port {options.port}," in (ROOT / "README.md").read_text()


def exported(env: dict[str, str]) -> Any:
    path = Path(env["AIRFLOW_HOME"], "connections.json")
    command = [sys.executable, "-m", "airflow", "connections", "export", str(path), "--file-format", "json"]
    subprocess.run(command, env=env, check=True, capture_output=True, timeout=120)
    return json.loads(path.read_text())


def test_the_command_that_adds_a_connection_adds_it(tmp_path: Path, migrated_database: Path) -> None:
    [command] = [block for block in blocks(CONNECTION_PAGE, "shell") if "connections add" in block]
    env = inherited_env() | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "DATALORE_TOKEN": "dl-token-0123456789abcdef",
    }
    shutil.copy(migrated_database, tmp_path)
    subprocess.run(["/bin/sh", "-c", command], env=env, check=True, capture_output=True, timeout=120)
    stored = exported(env)["datalore_default"]
    assert stored["conn_type"] == "datalore"
    assert (stored["host"], stored["password"]) == ("https://datalore.example.com", env["DATALORE_TOKEN"])
    from airflow.models import Connection

    added = Connection(conn_id="datalore_default", **stored)
    connection = DataloreConnection.read(added, added.extra_dejson)
    assert (connection.base_url, connection.timeout) == ("https://datalore.example.com", 30)
    assert connection.public_url == "https://datalore.example.com"


def rows(*, of_the_extra: bool) -> dict[str, str]:
    """The names of the fields in JSON by those in the form, as the page's tables have them."""
    lines = [line.split(" | ") for line in CONNECTION_PAGE.read_text().splitlines() if line.startswith("| ")]
    pairs = [(line[1], line[0]) if of_the_extra else (line[0], line[1]) for line in lines if len(line) > 2]
    named = {field.strip("| "): name.strip("| ") for field, name in pairs}
    return {field: name.strip("`") for field, name in named.items() if re.fullmatch(r"`\w+`", name)}


def test_the_form_and_the_page_have_the_same_names_of_the_extra_s_fields() -> None:
    form = {field["label"]: name for name, field in connection_type()["conn-fields"].items()}
    assert rows(of_the_extra=True) == form


def test_the_form_and_the_page_have_the_same_names_of_the_other_fields() -> None:
    behaviour = connection_type()["ui-field-behaviour"]
    page = rows(of_the_extra=False)
    assert set(page) == FIELDS
    assert {name: field for field, name in page.items()}["password"] == behaviour["relabeling"]["password"]
    assert behaviour["hidden-fields"] == [page["Login"]]


@pytest.mark.parametrize("page", ["interactive-run", "run-notebook", "own-operator"])
def test_poll_interval_is_described_in_the_same_words(page: str) -> None:
    row = next(line for line in (DOCS / "howto" / f"{page}.md").read_text().splitlines() if "`poll_interval`" in line)
    assert row.endswith("seconds between two status requests (1 or more); more often at the start |")


def test_a_notebook_s_asset_is_shown_with_its_host() -> None:
    [by_id] = [block for block in blocks(DOCS / "howto" / "assets.md", "python") if "host=" in block]
    names: dict[str, Any] = {}
    exec(f"from airflow_provider_datalore.assets.datalore import create_asset\n{by_id}", names)  # noqa: S102  (our own)
    assert names["SALES"].uri == "datalore://datalore.example.com/me/daily_sales"


def test_the_demo_s_connection_can_be_tested_in_the_form() -> None:
    """Airflow 3.3.2 answers "Bad Request" for a connection without a port."""
    from airflow.models import Connection

    from dev.demo import connection_to

    connection = connection_to("http://127.0.0.1:38357", "a-token-0123456789")
    assert connection["port"] == 38357
    added = Connection(conn_id="datalore_default", **connection)
    assert DataloreConnection.read(added, {}).base_url == "http://127.0.0.1:38357"
