"""The command line."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import requests
import trustme

from airflow_provider_datalore.emulator.access import parse_share, parse_token
from airflow_provider_datalore.emulator.options import DEFAULT_PORT, _parser, parse
from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, code, write_notebook

BY_COMMAND = pytest.mark.usefixtures("emulators_by_command")

REQUESTS = 6


@BY_COMMAND
def test_it_prints_its_address_and_a_connection(tmp_path: Path) -> None:
    write_notebook(tmp_path, "sales", "1", owner="alice")
    with EmulatorProcess(tmp_path) as process:
        text = "".join(process.output)
        # The lines that follow the first one are printed with it, but may still be on their way.
        process.stop()
        text = "".join(process.output)
    assert text.startswith(f"Datalore emulator listening on {process.url}\n")
    assert f"alice/sales  {process.url}/notebook/alice/sales" in text
    (line,) = [line for line in text.splitlines() if "AIRFLOW_CONN" in line]
    pasted = f"{line}\n{sys.executable} -c 'import os; print(os.environ[\"AIRFLOW_CONN_DATALORE_DEFAULT\"])'"
    known = subprocess.run(["/bin/sh", "-c", pasted], check=True, capture_output=True, text=True).stdout
    assert json.loads(known) == {
        "conn_type": "datalore",
        "host": process.url,
        "password": "emulator-token",
    }


def test_it_can_serve_https(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    options = ["--tls-cert", str(tmp_path / "server.pem")]
    with EmulatorProcess(tmp_path, *options, ca=tmp_path / "ca.pem") as process:
        client = Client(process)
        client.session.verify = str(tmp_path / "ca.pem")
        assert process.url.startswith("https://")
        assert client.get("/api/user_public/v1/workspaces").status_code == 200
        process.set_faults([{"kind": "drop"}])
        with pytest.raises(requests.ConnectionError):
            client.get("/api/user_public/v1/workspaces")


def test_it_can_start_with_faults_and_a_variant(tmp_path: Path) -> None:
    rules = tmp_path / "faults.json"
    rules.write_text('[{"kind": "status", "status": 500, "times": 1}]')
    with EmulatorProcess(tmp_path, "--faults", str(rules), "--no-workspaces-api") as process:
        client = Client(process)
        statuses = [client.get("/api/user_public/v1/workspaces").status_code for _ in range(2)]
    assert statuses == [500, 404]


def test_runs_over_the_limit_can_be_refused(tmp_path: Path) -> None:
    write_notebook(tmp_path, "slow", "import time; time.sleep(60)")
    options = ["--max-parallel-runs", "1", "--over-limit", "429"]
    with EmulatorProcess(tmp_path, *options) as process:
        client = Client(process)
        client.start("me/slow")
        assert client.submit("me/slow").status_code == 429


@BY_COMMAND
def test_a_port_that_is_in_use_is_reported_in_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(RuntimeError, match=f"cannot listen on 127.0.0.1:{port}") as error:
            EmulatorProcess(tmp_path, "--port", str(port)).start()
    assert "Traceback" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--token", "two words"], "a token cannot contain spaces"),
        (["--viewer", "victor"], "not of the form USER:OWNER/ID"),
        (["--max-parallel-runs", "0"], "--max-parallel-runs: "),
        (["--run-appears-after", "-1"], "--run-appears-after: "),
        (["--times", "roman"], "--times"),
        (["--faults", "no-such-file"], "cannot read no-such-file"),
        (["--tls-key", "key.pem"], "--tls-key requires --tls-cert"),
    ],
)
def test_a_mistake_is_reported_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse([str(tmp_path), *options])
    assert exit_.value.code == 2
    assert words in capsys.readouterr().err


def test_the_data_folder_must_not_be_the_folder_of_the_notebooks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse([str(tmp_path), "--data", str(tmp_path)])
    assert "--data must not be the folder of the notebooks itself" in capsys.readouterr().err


def test_a_folder_that_does_not_exist_is_reported_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["/no/such/folder"])
    assert "the folder /no/such/folder does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("secret", ("secret", "me")),
        ("alice=secret", ("secret", "alice")),
        ("alice@example.com=secret", ("secret", "alice@example.com")),
        ("c2VjcmV0==", ("c2VjcmV0==", "me")),
        ("alice=c2VjcmV0==", ("c2VjcmV0==", "alice")),
    ],
)
def test_a_token_can_have_a_user(text: str, parsed: tuple[str, str]) -> None:
    assert parse_token(text) == parsed


def test_a_permission_has_a_user_and_a_notebook() -> None:
    assert parse_share("victor:me/sales") == ("victor", "me/sales")


def test_every_field_of_the_variant_has_an_option(tmp_path: Path) -> None:
    given: dict[str, Any] = {"times": "epoch-ms", "queued_status": "", "artifacts_expire_after": 1.5}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    settings, _ = parse([str(tmp_path), *options, "--no-parameters"])
    assert settings.variant.model_dump(include={*given, "parameters"}) == {**given, "parameters": False}


def test_it_starts_without_imports_that_only_runs_need_and_without_the_rest_of_the_package() -> None:
    script = "import sys, airflow_provider_datalore.emulator.__main__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    loaded = done.stdout.split()
    own = {name.split(".")[1] for name in loaded if name.startswith("airflow_provider_datalore.")}
    assert own == {"emulator"}
    assert not {"airflow", "papermill", "nbconvert", "nbclient", "nbformat", "jupyter_client"} & set(loaded)


def test_it_serves_only_after_it_imported_all_that_runs_need(tmp_path: Path) -> None:
    script = (
        "import asyncio, pathlib, sys, nbformat\n"
        "from airflow_provider_datalore.emulator import execution, parameters, rendering, server\n"
        "before = set(sys.modules)\n"
        "made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell('n = 1')])\n"
        "made = parameters.inject(made, {'n': 2})\n"
        "assert asyncio.run(execution.execute(made, pathlib.Path())) is None\n"
        "print(*(set(sys.modules) - before))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=tmp_path)
    packages = {name.split(".")[0] for name in done.stdout.split()}
    assert not packages & {"papermill", "nbclient", "nbformat", "jupyter_client", "IPython", "zmq", "traitlets"}


@BY_COMMAND
def test_the_first_runs_at_the_same_time_succeed(tmp_path: Path) -> None:
    """All requests arrive before the first has been handled, so imports in several threads would deadlock."""
    cell = code("n = 1", "parameters")
    notebook_ids = [write_notebook(tmp_path, f"n{number}", cell, "assert n == 2") for number in range(REQUESTS)]
    n_is_2 = [{"name": "n", "value": 2}]
    with EmulatorProcess(tmp_path, "--max-parallel-runs", "6") as process, ThreadPoolExecutor(REQUESTS) as threads:
        together = Barrier(REQUESTS)

        def submit(notebook_id: str) -> requests.Response:
            client = Client(process)
            together.wait(30)
            return client.submit(notebook_id, parameters=n_is_2)

        responses = list(threads.map(submit, notebook_ids))
        assert [response.status_code for response in responses] == [200] * REQUESTS, [each.text for each in responses]
        client = Client(process)
        ended = [client.wait(response.json()["runId"]) for response in responses]
        assert [run["success"] for run in ended] == [True] * REQUESTS, [run["failure"] for run in process.runs()]


def test_its_default_port_is_not_that_of_airflow(tmp_path: Path) -> None:
    _, options = parse([str(tmp_path)])
    assert options.port == DEFAULT_PORT == 8357
    assert f"port to listen on, 0 for any free port (default: {DEFAULT_PORT})" in _parser().format_help()


def test_the_documentation_and_the_command_have_the_same_default_port() -> None:
    root = Path(__file__).parents[2]
    pages = {path.name: path.read_text() for path in (*root.glob("*.md"), *root.glob("docs/**/*.md"))}
    assert f"http://datalore:{DEFAULT_PORT}" in pages["emulator.md"]
    lines = [line for text in pages.values() for line in text.splitlines() if "datalore-emulator" in line]
    assert [line for line in lines if "8080" in line or "8090" in line] == []


@pytest.mark.parametrize("token", ["it's", "a$b`c`", 'say"it"', "a\\b"])
def test_the_printed_line_is_read_by_a_shell_whatever_the_token_is(tmp_path: Path, token: str) -> None:
    with EmulatorProcess(tmp_path, token=token) as process:
        [line] = [line for line in process.output if "AIRFLOW_CONN_DATALORE_DEFAULT" in line]
    shell = f'{line.strip()}; printf %s "$AIRFLOW_CONN_DATALORE_DEFAULT"'
    done = subprocess.run(["/bin/sh", "-c", shell], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == process.connection


def test_tokens_in_the_documentation_are_long_and_not_words() -> None:
    """Airflow masks a token wherever it appears, so one such as ``local`` would hide parts of addresses in logs."""
    root = Path(__file__).parents[2]
    texts = [
        path.read_text() for path in (*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("example_dags/*.py"))
    ]
    tokens = [token for text in texts for token in re.findall(r"--token[\s\",=']+([\w.-]+)", text)]
    tokens += [token for text in texts for token in re.findall(r"API token is `([^`]+)`", text)]
    assert tokens
    assert [token for token in tokens if not re.fullmatch(r"(?=.*\d)[\w-]{12,}", token)] == []


def test_it_can_start_like_a_datalore_that_was_probed(tmp_path: Path) -> None:
    file = tmp_path / "like.json"
    file.write_text(json.dumps({"workspaces_api": False, "times": "epoch-ms", "headers": ["Vary"], "booting": None}))
    with EmulatorProcess(tmp_path, "--like", str(file), "--times", "iso-offset") as process:
        assert Client(process).get("/api/user_public/v1/workspaces").status_code == 404
        variant = process.admin("GET", "variant")
    assert (variant["times"], variant["headers"], variant["booting"]) == ("iso-offset", ["Vary"], "busy")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot read .*: No such file or directory"),
        ("{", "is not JSON: "),
        ("\xff", "is not JSON: "),
        ("[]", "is not a JSON object with the fields of a variant"),
        ('{"colour": "blue"}', "'colour' is not a field of a variant"),
        ('{"times": "late"}', "times: Input should be 'iso', "),
        ('{"notebook_api": "no"}', "notebook_api: Input should be a valid boolean"),
        ('{"run_appears_after": NaN}', "run_appears_after: "),
        ('{"headers": ["X-Company-Gateway"]}', "headers.0: Input should be "),
    ],
)
def test_a_bad_file_of_a_probed_datalore_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, reason: str
) -> None:
    file = tmp_path / "like.json"
    if content is not None:
        file.write_bytes(content.encode("latin-1"))
    with pytest.raises(SystemExit) as ended:
        parse([str(tmp_path), "--like", str(file)])
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert re.match(f"datalore-emulator: .*{reason}", line)
