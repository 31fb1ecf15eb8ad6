"""The command ``doctor`` says what is wrong, and changes and runs nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from airflow_provider_datalore.cli.__main__ import main
from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.cli.conftest import Connect
from tests.emulator.emulator_client import wait_until, write_notebook
from tests.scripted_server import ScriptedServer, server_tls

Examine = Callable[..., "Result"]


class Result:
    """What ``doctor --json`` printed, and its exit code."""

    def __init__(self, code: int, printed: str) -> None:
        self.code = code
        self.printed = printed
        self.json: dict[str, Any] = json.loads(printed)

    def __getitem__(self, check: str) -> str:
        """The state and the text of a check."""
        [found] = [each for each in self.json["checks"] if each["check"] == check]
        return f"{found['state']}: {found['text']}"

    @property
    def failed(self) -> set[str]:
        return {each["check"] for each in self.json["checks"] if each["state"] == "failed"}

    def works(self, part_of_name: str) -> bool | None:
        [found] = [each for each in self.json["features"] if part_of_name in each["feature"]]
        works: bool | None = found["works"]
        return works


@pytest.fixture
def examine(capsys: pytest.CaptureFixture[str]) -> Examine:
    """Runs the command on the connection ``dl``."""

    def run(*arguments: str) -> Result:
        with pytest.raises(SystemExit) as ended:
            main(["doctor", "--conn-id", "dl", "--json", *arguments])
        assert isinstance(ended.value.code, int)
        return Result(ended.value.code, capsys.readouterr().out)

    return run


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(file)
    return str(file)


@pytest.fixture(scope="module")
def tls_emulator(
    ca: trustme.CA, ca_file: str, datalore_notebooks: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmulatorProcess]:
    folder = tmp_path_factory.mktemp("tls")
    certificate = ca.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    options = ("--tls-cert", str(folder / "server.pem"))
    with EmulatorProcess(datalore_notebooks, *options, data=folder / "data", ca=ca_file) as process:
        yield process


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


# What works


def test_everything_works(emulator: EmulatorProcess, connect: Connect, examine: Examine) -> None:
    connect(emulator.url, emulator.token)
    result = examine("--notebook", "me/sales")
    assert result.code == 0
    assert result.json["ok"] is True
    assert result.json["address"] == emulator.url
    assert result.json["notebook"] == "me/sales"
    for check in (
        "Address",
        "TLS",
        "Proxy",
        "Token",
        "Run API",
        "Notebook API",
        "Workspace API",
        "Notebook",
        "Version",
        "Clock",
    ):
        assert result[check].startswith("ok: "), check
    assert result.works("run a notebook") is True
    assert result.works("wait for an interactive run") is True
    assert emulator.token not in result.printed


def test_nothing_is_changed_or_run(emulator: EmulatorProcess, connect: Connect, examine: Examine) -> None:
    connect(emulator.url, emulator.token)
    before = {path: path.read_bytes() for path in emulator.folder.glob("*.ipynb")}
    examine("--notebook", "me/sales")
    log = emulator.log()
    assert log["runs"]["total"] == 0
    assert not any(log["interactive"][what] for what in ("started", "interrupts", "stops"))
    assert {path: path.read_bytes() for path in emulator.folder.glob("*.ipynb")} == before


def test_the_address_of_a_notebook_names_it(emulator: EmulatorProcess, connect: Connect, examine: Examine) -> None:
    connect(emulator.url, emulator.token)
    assert examine("--notebook", f"{emulator.url}/notebook/me/sales?cell=3").json["notebook"] == "me/sales"


def test_a_trusted_certificate_and_its_end_are_named(
    tls_emulator: EmulatorProcess, connect: Connect, examine: Examine, ca_file: str
) -> None:
    connect(tls_emulator.url, tls_emulator.token, verify=ca_file)
    result = examine()
    assert result.code == 0
    assert f"ok: The certificate is trusted, by the CA certificates in {ca_file}, until " in result["TLS"]


def test_the_result_is_words_and_a_table(
    emulator: EmulatorProcess, connect: Connect, capsys: pytest.CaptureFixture[str]
) -> None:
    connect(emulator.url, emulator.token)
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--conn-id", "dl"])
    printed = capsys.readouterr().out
    assert ended.value.code == 0
    assert printed.startswith(f"Connection 'dl' to {emulator.url}\n\nCheck ")
    assert "\nToken             ok       Datalore accepts it.\n" in printed
    assert "\nrun a notebook, with parameters, artifacts and outputs  yes\n" in printed
    assert printed.splitlines()[-1].startswith("Everything works. Warnings: ")


# What is wrong


def test_wrong_host_without_a_server(connect: Connect, examine: Examine) -> None:
    connect(f"http://127.0.0.1:{free_port()}")
    result = examine()
    assert result.code == 1
    assert result.failed == {"Address"}
    assert "no connection to http://127.0.0.1:" in result["Address"]
    assert result["Token"] == "unknown: Not checked."
    assert result.works("run a notebook") is False


def test_wrong_host_without_an_address(connect: Connect, examine: Examine) -> None:
    connect("http://datalore.invalid")
    assert "There is no host 'datalore.invalid'" in examine()["Address"]


@pytest.mark.parametrize("status", [200, 404, 418])
def test_wrong_host_with_another_server(connect: Connect, examine: Examine, status: int) -> None:
    with ScriptedServer() as server:
        server.otherwise(status=status, json={"hello": "world"})
        connect(server.url)
        result = examine()
    assert result.code == 1
    assert result.failed == {"Address"}
    assert "not" in result["Address"]
    assert "Datalore" in result["Address"]


def test_login_page(connect: Connect, examine: Examine) -> None:
    with ScriptedServer() as server:
        server.otherwise(html="<html><form>Sign in</form></html>")
        connect(server.url)
        result = examine()
    assert (result.code, result.failed) == (1, {"Address"})
    assert "responds with a page, such as a login page, and not with Datalore's API" in result["Address"]


def test_redirect_to_a_login_page(connect: Connect, examine: Examine) -> None:
    with ScriptedServer() as server:
        server.otherwise(status=302, headers={"Location": "https://sso.example.com/login"})
        connect(server.url)
        result = examine()
    assert (result.code, result.failed) == (1, {"Address"})
    assert "redirects to https://sso.example.com/login, which may be a login page" in result["Address"]


def test_refused_token(emulator: EmulatorProcess, connect: Connect, examine: Examine) -> None:
    connect(emulator.url, "a-token-of-last-year")
    result = examine("--notebook", "me/sales")
    assert (result.code, result.failed) == (1, {"Token"})
    assert "Datalore refuses it: it is wrong or has expired." in result["Token"]
    assert result["Address"].startswith("ok")
    assert result.works("run a notebook") is False


def test_viewer(emulator: EmulatorProcess, connect: Connect, examine: Examine) -> None:
    connect(emulator.url, "victors-token")
    result = examine("--notebook", "me/sales")
    assert (result.code, result.failed) == (1, {"Notebook"})
    assert "The owner of the token may only view me/sales" in result["Notebook"]
    assert result.works("run a notebook") is False
    emulator.set_variant(error_form="empty")
    without_words = examine("--notebook", "me/sales")["Notebook"]
    assert "may only view me/sales" in without_words
    assert "Or: The token is for another notebook only" in without_words


def test_notebook_token_of_another_notebook(
    datalore_notebooks: Path, tmp_path: Path, connect: Connect, examine: Examine
) -> None:
    write_notebook(datalore_notebooks, "other", "1")
    options = ("--token", "a-notebooks-token", "--notebook-token", "a-notebooks-token=me/other")
    with EmulatorProcess(datalore_notebooks, *options, data=tmp_path) as emulator:
        connect(emulator.url, "a-notebooks-token")
        result = examine("--notebook", "me/sales")
        own = examine("--notebook", "me/other")
        emulator.set_variant(notebook_token_elsewhere="404")
        not_found = examine("--notebook", "me/sales")
    assert result.code == 1
    assert "failed: The token is for another notebook only, not for me/sales" in result["Notebook"]
    assert own["Notebook"].startswith("ok")
    assert "or the token is for another notebook only" in not_found["Notebook"]


def test_scope_that_is_too_narrow(datalore_notebooks: Path, tmp_path: Path, connect: Connect, examine: Examine) -> None:
    options = ("--token", "a-lesser-token", "--scope", "a-lesser-token=USER_BASIC")
    with EmulatorProcess(datalore_notebooks, *options, data=tmp_path) as emulator:
        connect(emulator.url, "a-lesser-token")
        result = examine("--notebook", "me/sales")
    assert result.code == 1
    assert "a token of scope NOTEBOOK_API is required" in result["Run API"]
    assert "Less than NOTEBOOK_API" in result["Token scope"]
    assert "a token of scope WORKSPACE with access READ is required" in result["Workspace API"]
    assert result.works("run a notebook") is False


def test_missing_notebook(emulator: EmulatorProcess, connect: Connect, examine: Examine) -> None:
    connect(emulator.url, emulator.token)
    result = examine("--notebook", "me/gone")
    assert (result.code, result.failed) == (1, {"Notebook"})
    assert "me/gone does not exist, or is not shared" in result["Notebook"]


def test_notebook_on_another_server(emulator: EmulatorProcess, connect: Connect, examine: Examine) -> None:
    connect(emulator.url, emulator.token)
    result = examine("--notebook", "https://datalore.jetbrains.com/notebook/me/sales")
    assert (result.code, result.failed) == (1, {"Notebook"})
    assert "points to https://datalore.jetbrains.com" in result["Notebook"]


def test_old_server(emulator: EmulatorProcess, connect: Connect, examine: Examine) -> None:
    emulator.set_variant(notebook_api=False, workspaces_api=False, direct_file_storage_write=False, parameters=False)
    connect(emulator.url, emulator.token)
    result = examine("--notebook", "me/sales")
    assert (result.code, result.failed) == (1, {"Notebook API", "Workspace API"})
    assert "Missing: this is an older server" in result["Notebook API"]
    assert "before 2026.2" in result["Version"]
    assert result["Run API"].startswith("ok")
    assert result["Notebook"].startswith("unknown: Edit access to me/sales cannot be found out without running it")
    assert result.works("start an interactive run without") is None
    assert result.works("wait for an interactive run") is False


def test_plain_address_of_a_tls_server(tls_emulator: EmulatorProcess, connect: Connect, examine: Examine) -> None:
    connect(tls_emulator.url.replace("https:", "http:"))
    result = examine()
    assert (result.code, result.failed) == (1, {"TLS"})
    assert f"speaks TLS. Set the connection's host to {tls_emulator.url}." in result["TLS"]


def test_tls_address_of_a_plain_server(emulator: EmulatorProcess, connect: Connect, examine: Examine) -> None:
    connect(emulator.url.replace("http:", "https:"))
    result = examine()
    assert (result.code, result.failed) == (1, {"TLS"})
    assert (
        f"does not speak TLS. If the network may be trusted with the token, set the host to {emulator.url};"
        in (result["TLS"])
    )


def test_untrusted_certificate(tls_emulator: EmulatorProcess, connect: Connect, examine: Examine) -> None:
    connect(tls_emulator.url, tls_emulator.token)
    result = examine()
    assert (result.code, result.failed) == (1, {"TLS"})
    assert "is not trusted" in result["TLS"]
    assert "set verify in the connection's extra" in result["TLS"]


def test_unverified_certificates_are_a_warning(
    tls_emulator: EmulatorProcess, connect: Connect, examine: Examine
) -> None:
    connect(tls_emulator.url, tls_emulator.token, verify=False)
    result = examine()
    assert result.code == 0
    assert result["TLS"].startswith("warning: Certificates are not verified")


def test_certificate_that_expires_soon(connect: Connect, examine: Examine, ca: trustme.CA, ca_file: str) -> None:
    tls = server_tls(ca)
    ca.issue_cert("127.0.0.1", not_after=datetime.now(UTC) + timedelta(days=3)).configure_cert(tls)
    with ScriptedServer(tls=tls) as server:
        server.route("GET", "/api/user_public/v1/workspaces", json=[])
        server.route("GET", "/api/run/v1/", status=404)
        connect(server.url, verify=ca_file)
        assert "it has to be renewed" in examine()["TLS"]


def test_unreachable_proxy(emulator: EmulatorProcess, connect: Connect, examine: Examine) -> None:
    proxy = f"http://ann:secret@127.0.0.1:{free_port()}"
    connect(emulator.url, proxies={"http": proxy})
    result = examine()
    assert (result.code, result.failed) == (1, {"Proxy"})
    assert "No connection to proxy http://127.0.0.1:" in result.printed
    assert "from proxies in the extra" in result.printed
    assert "secret" not in result.printed


def test_proxy_that_requires_a_login(connect: Connect, examine: Examine) -> None:
    with ScriptedServer() as proxy:
        proxy.otherwise(status=407)
        connect("http://datalore.example.com", proxies={"http": proxy.url})
        result = examine()
    assert (result.code, result.failed) == (1, {"Proxy"})
    assert "requires a user and a password" in result.printed


def test_proxy_of_the_environment_is_named(
    emulator: EmulatorProcess, connect: Connect, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    connect("http://datalore.example.com")
    assert "from the environment" in examine().printed


def test_clocks_that_differ(connect: Connect, examine: Examine) -> None:
    behind = format_datetime(datetime.now(UTC) - timedelta(minutes=7), usegmt=True)
    with ScriptedServer() as server:
        server.route("GET", "/api/user_public/v1/workspaces", json=[], headers={"Date": behind})
        server.route("GET", "/api/run/v1/", status=404)
        connect(server.url)
        found = examine()["Clock"]
    assert found.startswith("warning: The server's clock is 4")
    assert "s behind that of this machine" in found


def test_unknown_connection(examine: Examine) -> None:
    result = examine()
    assert (result.code, result.failed) == (1, {"Connection"})
    assert "Airflow has no connection 'dl'" in result["Connection"]


def test_invalid_connection(connect: Connect, examine: Examine) -> None:
    connect("https://datalore.example.com/notebook/me/sales")
    assert "Did you mean https://datalore.example.com?" in examine()["Connection"]


def test_unusable_notebook_id_is_an_error_of_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--notebook", "sales"])
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("datalore doctor: --notebook: 'sales' is not the id of a notebook.")


def test_text_of_a_server_cannot_control_the_terminal(connect: Connect, examine: Examine) -> None:
    with ScriptedServer() as server:
        server.otherwise(status=302, headers={"Location": "https://a.example.com/\x1b[31mred"})
        connect(server.url)
        assert "\x1b" not in examine().json["checks"][1]["text"]


# The side of Airflow


def test_no_airflow_database_is_a_warning(emulator: EmulatorProcess, connect: Connect, examine: Examine) -> None:
    connect(emulator.url, emulator.token)
    result = examine()
    assert result.code == 0
    assert result["Airflow database"].startswith("warning: It cannot be read from this machine")
    assert result["Triggerer"].startswith("unknown")
    assert result.works("deferrable") is None


class Airflow:
    """An Airflow with a database, and commands in its environment."""

    def __init__(self, home: Path, database: Path) -> None:
        self.database = Path(shutil.copy(database, home))
        own = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        settings = {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        self.environment = {**own, **settings, "PATH": path}

    def run(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True)
        return done.stdout

    def doctor(self) -> Result:
        command = [sys.executable, "-m", "airflow_provider_datalore.cli", "doctor", "--conn-id", "dl", "--json"]
        done = subprocess.run(command, env=self.environment, check=False, capture_output=True, text=True)
        return Result(done.returncode, done.stdout)

    def _has_triggerer(self) -> bool:
        with closing(sqlite3.connect(self.database)) as database:
            found = database.execute("SELECT 1 FROM job WHERE job_type = 'TriggererJob' AND state = 'running'")
            return found.fetchone() is not None

    @contextmanager
    def triggerer(self) -> Iterator[None]:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("airflow")), "triggerer"],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_until(self._has_triggerer)
            yield
        finally:
            process.terminate()
            try:
                process.wait(60)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Airflow:
    return Airflow(tmp_path_factory.mktemp("airflow"), migrated_database)


@pytest.fixture
def airflow(migrated: Airflow, emulator: EmulatorProcess) -> Airflow:
    """An Airflow that knows the connection ``dl``."""
    migrated.environment["AIRFLOW_CONN_DL"] = json.dumps(emulator.connection)
    return migrated


def test_a_triggerer_is_found_in_airflow_s_database(airflow: Airflow) -> None:
    result = airflow.doctor()
    assert result.code == 0
    assert result["Airflow database"] == "ok: It can be read."
    assert result["Triggerer"].startswith("warning: None is running, so tasks with deferrable=True would wait forever.")
    assert result.works("deferrable") is False
    with airflow.triggerer():
        running = airflow.doctor()
        assert running.works("deferrable") is True
        assert running.code == 0
        assert running["Triggerer"] == "ok: One is running."
    ended = airflow.doctor()
    assert "None is running" in ended["Triggerer"]
    assert "The last one reported at " in ended["Triggerer"]


STORE_TRIGGERS = """
import sys
from airflow.models.trigger import Trigger
from airflow.utils.session import create_session
from airflow_provider_datalore.triggers.datalore import DataloreRunTrigger
classpath, arguments = DataloreRunTrigger(run_id="r1").serialize()
with create_session() as session:
    session.add(Trigger(classpath=classpath, kwargs=arguments))
    if "other" in sys.argv:
        session.add(Trigger(classpath=classpath, kwargs={**arguments, "patience": 3}))
"""


def test_tasks_of_another_version_are_found_in_airflow_s_database(airflow: Airflow) -> None:
    airflow.run(sys.executable, "-c", STORE_TRIGGERS)
    assert "Tasks that are deferred now were started by the same." in airflow.doctor()["Package version"]
    airflow.run(sys.executable, "-c", STORE_TRIGGERS, "other")
    result = airflow.doctor()
    assert result.code == 0
    assert result["Package version"].startswith("warning: ")
    assert "differs in 'patience'" in result["Package version"]
