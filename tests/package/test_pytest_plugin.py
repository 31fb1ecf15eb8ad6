"""The fixture ``datalore_emulator``, as users have it: from the installed wheel, in a pytest of their own."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from _pytest.pytester import Pytester, RunResult

pytest_plugins = ["pytester"]


@pytest.fixture
def project(pytester: Pytester, monkeypatch: pytest.MonkeyPatch) -> Pytester:
    """A user's project with the notebook ``me/sales``."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    parameters = nbformat.v4.new_code_cell("region = ''", metadata={"tags": ["parameters"]})
    write_notebook(pytester.path / "notebooks" / "me" / "sales.ipynb", parameters, "print(region)")
    return pytester


def write_notebook(path: Path, *cells: str | nbformat.NotebookNode) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = [nbformat.v4.new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=made), path)


def run_pytest(project: Pytester, installed: Path, *options: str) -> RunResult:
    plugins = ("-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:cov", "-p", "no:schemathesis")
    return project.run(installed / "python", "-m", "pytest", *plugins, *options, timeout=120)


def test_a_test_runs_a_notebook_through_the_hook(project: Pytester, installed: Path) -> None:
    project.makepyfile("""
        from airflow_provider_datalore.hooks.datalore import DataloreHook

        def test_a_notebook_runs(datalore_emulator):
            hook = DataloreHook()
            run = hook.wait_for_run(hook.run_notebook("me/sales", parameters={"region": "West"}), poll_interval=1)
            assert run.success
            [listed] = datalore_emulator.runs()
            assert listed["parameters"] == {"region": "West"}
            assert datalore_emulator.log()["requests"]["POST /api/run/v1/notebook"] == 1
    """)
    run_pytest(project, installed).assert_outcomes(passed=1)


NEEDS_NO_AIRFLOW = """
    import sys

    sys.modules["airflow"] = None
"""


def test_each_test_finds_the_emulator_as_at_its_start(project: Pytester, installed: Path) -> None:
    project.makeconftest(NEEDS_NO_AIRFLOW)
    project.makepyfile("""
        import json
        import os
        import time
        import urllib.error
        import urllib.request

        import pytest

        def post(emulator, path, body):
            headers = {"Authorization": f"Bearer {emulator.token}", "Content-Type": "application/json"}
            request = urllib.request.Request(emulator.url + path, json.dumps(body).encode(), headers)
            with urllib.request.urlopen(request) as response:
                return response.read()

        def start(emulator):
            return post(emulator, "/api/run/v1/notebook", {"notebookId": "me/sales"})

        def test_first(datalore_emulator):
            start(datalore_emulator)
            post(datalore_emulator, "/api/computation/v1/notebook", {"notebookId": "me/sales"})
            while not datalore_emulator.log()["interactive"]["finished"]:
                time.sleep(0.05)
            assert "execution_count\\": 1" in (datalore_emulator.folder / "me" / "sales.ipynb").read_text()
            (datalore_emulator.folder / "new.csv").touch()
            datalore_emulator.set_faults([{"kind": "status", "status": 503}])
            datalore_emulator.set_tokens("other")
            with pytest.raises(urllib.error.HTTPError, match="503"):
                start(datalore_emulator)

        def test_second(datalore_emulator):
            log = datalore_emulator.log()
            assert (datalore_emulator.runs(), log["requests"], log["faults"]) == ([], {}, [])
            assert not (datalore_emulator.folder / "new.csv").exists()
            assert "execution_count\\": 1" not in (datalore_emulator.folder / "me" / "sales.ipynb").read_text()
            start(datalore_emulator)
            datalore_emulator.kill()

        def test_third(datalore_emulator):
            assert datalore_emulator.runs() == []
            start(datalore_emulator)

        def test_last():
            assert "AIRFLOW_CONN_DATALORE_DEFAULT" not in os.environ
    """)
    original = project.path / "notebooks" / "me" / "sales.ipynb"
    before = original.stat()
    run_pytest(project, installed).assert_outcomes(passed=4)
    assert original.stat().st_mtime_ns == before.st_mtime_ns
    assert [path.name for path in (project.path / "notebooks").iterdir()] == ["me"]


def test_a_connection_of_the_user_is_set_again_after_the_test(project: Pytester, installed: Path) -> None:
    project.makeconftest(NEEDS_NO_AIRFLOW + '    import os\n    os.environ["AIRFLOW_CONN_DATALORE_DEFAULT"] = "own"\n')
    project.makepyfile("""
        import json, os

        def test_first(datalore_emulator):
            assert json.loads(os.environ["AIRFLOW_CONN_DATALORE_DEFAULT"]) == datalore_emulator.connection

        def test_last():
            assert os.environ["AIRFLOW_CONN_DATALORE_DEFAULT"] == "own"
    """)
    run_pytest(project, installed).assert_outcomes(passed=2)


def test_the_folder_and_the_options_can_be_set(project: Pytester, installed: Path) -> None:
    project.makeini("[pytest]\ndatalore_notebooks = reports\n")
    project.makeconftest(NEEDS_NO_AIRFLOW)
    write_notebook(project.path / "reports" / "weekly.ipynb", "1")
    (project.path / "shared.csv").write_text("shared")
    (project.path / "reports" / "linked.csv").symlink_to("../shared.csv")
    project.makepyfile(
        test_by_ini="""
        def test_it(datalore_emulator):
            assert (datalore_emulator.folder / "weekly.ipynb").exists()
            assert (datalore_emulator.folder / "linked.csv").read_text() == "shared"
            assert datalore_emulator.admin("GET", "variant")["times"] == "iso"
        """,
        test_by_fixtures="""
        import pytest

        @pytest.fixture
        def datalore_notebooks(tmp_path):
            (tmp_path / "own.ipynb").touch()
            return tmp_path

        @pytest.fixture
        def datalore_emulator_options():
            return ["--times", "epoch-ms"]

        @pytest.mark.parametrize("number", [1, 2])
        def test_it(datalore_emulator, number):
            assert (datalore_emulator.folder / "own.ipynb").exists()
            assert datalore_emulator.admin("GET", "variant")["times"] == "epoch-ms"
        """,
    )
    run_pytest(project, installed).assert_outcomes(passed=3)


def test_each_worker_of_xdist_has_its_own_emulator(project: Pytester, installed: Path) -> None:
    project.makeconftest(NEEDS_NO_AIRFLOW)
    project.makepyfile("""
        import os
        import pytest

        @pytest.mark.parametrize("number", range(4))
        def test_it(datalore_emulator, number):
            with open("urls.txt", "a") as urls:
                print(os.environ["PYTEST_XDIST_WORKER"], datalore_emulator.url, file=urls)
    """)
    run_pytest(project, installed, "-n", "2", "--dist", "each").assert_outcomes(passed=8)
    pairs = {tuple(line.split()) for line in (project.path / "urls.txt").read_text().splitlines()}
    assert len(pairs) == len({url for _, url in pairs}) == 2


@pytest.mark.parametrize(
    ("conftest", "options", "words"),
    [
        (
            "",
            ("-o", "datalore_notebooks=gone"),
            "*requires a folder of notebooks, and *gone does not exist. Create it*",
        ),
        ("import sys; sys.modules['uvicorn'] = None", (), "*requires uvicorn. Run: pip install 'airflow-provider*'"),
        (
            "import pytest\n\n@pytest.fixture\ndef datalore_emulator_options():\n    return ['--times', 'roman']",
            (),
            "*argument --times: invalid choice: 'roman'*",
        ),
    ],
)
def test_what_is_missing_or_wrong_is_reported_in_words(
    project: Pytester, installed: Path, conftest: str, options: tuple[str, ...], words: str
) -> None:
    project.makeconftest(conftest)
    project.makepyfile("def test_it(datalore_emulator): pass")
    result = run_pytest(project, installed, *options)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([words])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")


def test_pytest_starts_without_the_extra_and_imports_nothing_of_it(project: Pytester, installed: Path) -> None:
    project.makepyfile("""
        import sys

        def test_it(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("datalore_emulator")
            own = {name for name in sys.modules if name.startswith("airflow_provider_datalore.")}
            assert own == {"airflow_provider_datalore.emulator", "airflow_provider_datalore.emulator.pytest_plugin"}
            assert not {"airflow", "fastapi", "nbclient", "nbformat", "pydantic", "uvicorn"} & set(sys.modules)
    """)
    off = ("anyio", "_hypothesis_pytestplugin", "schemathesis", "hypothesispytest", "xdist")
    disabled = [option for name in off for option in ("-p", f"no:{name}")]
    run_pytest(project, installed, *disabled).assert_outcomes(passed=1)


def test_the_fixture_is_listed_with_its_purpose(project: Pytester, installed: Path) -> None:
    result = run_pytest(project, installed, "--fixtures")
    result.stdout.fnmatch_lines(
        ["datalore_emulator -- *", "*An emulator of Datalore over a copy of datalore_notebooks*"]
    )
