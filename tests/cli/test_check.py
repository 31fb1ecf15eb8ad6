"""The command ``check``: it finds all tasks, and says which do not fit their notebooks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from airflow_provider_datalore.cli.__main__ import main
from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.cli.test_lock import EXAMPLES, REVENUE, control, edit

IMPORTS = """\
from airflow.providers.common.compat.sdk import DAG, task, task_group
from airflow_provider_datalore.catalog import Catalog
from airflow_provider_datalore.operators.datalore import *
from airflow_provider_datalore.sensors.datalore import DataloreRunSensor

"""


GOOD = """
with DAG("good", schedule=None):
    DataloreRunNotebookOperator(task_id="a", notebook_id="me/forecast")
"""


class Check:
    """Runs the command on DAG files in a folder of its own."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.out = self.err = ""
        self._capfd = capfd

    def write(self, name: str, code: str) -> str:
        path = self.folder / f"{name}.py"
        path.write_text(IMPORTS + dedent(code))
        return str(path)

    def __call__(self, *arguments: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["check", *arguments])
        self.out, self.err = self._capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code

    def tasks(self, *arguments: str) -> dict[str, dict[str, Any]]:
        """What ``--json`` says of each task."""
        self.code = self("--json", *arguments)
        return {each["task_id"]: each for each in json.loads(self.out)}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    folder = tmp_path_factory.mktemp("check") / "notebooks"
    shutil.copytree(EXAMPLES / "notebooks", folder)
    with EmulatorProcess(folder) as process:
        yield process


@pytest.fixture
def check(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    emulator: EmulatorProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> Check:
    monkeypatch.setenv("AIRFLOW_CONN_DATALORE_DEFAULT", json.dumps(emulator.connection))
    monkeypatch.setenv("AIRFLOW_CONN_EMULATOR", json.dumps(emulator.connection))
    monkeypatch.setenv("GITHUB_ACTIONS", "")
    monkeypatch.chdir(tmp_path)
    shutil.copy(EXAMPLES / "datalore.lock", tmp_path)
    return Check(tmp_path, capfd)


ALL_KINDS = """
    print("a DAG file may print")
    revenue = Catalog.read()["Sales/Revenue"]
    with DAG("kinds", schedule=None, params={**revenue.params(), "notebook": "me/forecast"}):
        run = DataloreRunNotebookOperator(
            task_id="run", notebook_id=revenue, parameters=revenue.parameters(), outputs={"best": list[str]}
        )
        DataloreRunNotebookOperator(task_id="templated", notebook_id="{{ params.notebook }}", parameters={"dais": 3})
        DataloreRunNotebookOperator.partial(task_id="mapped", notebook_id="me/forecast").expand(
            parameters=[{"days": 3}, {"days": "many"}]
        )
        DataloreInteractiveRunOperator(task_id="gone", notebook_id="me/gone")
        DataloreRunSensor(task_id="sensor", run_id=run.output)

        @task.datalore_notebook(notebook_id=revenue)
        def decorated(region):
            return {"region": region}

        decorated("North")
        decorated.override(task_id="several").expand(region=["North", "South"])
"""


def test_all_tasks_are_found_and_those_that_do_not_fit_are_named(check: Check) -> None:
    tasks = check.tasks(check.write("kinds", ALL_KINDS))
    assert check.code == 1
    assert {name: task["ok"] for name, task in tasks.items()} == {
        "run": True,
        "templated": False,
        "mapped": False,
        "gone": False,
        "sensor": True,
        "decorated": True,
        "several": True,
    }
    assert tasks["run"]["notebook"] == "Sales/Revenue"
    assert tasks["run"]["notebook_id"] == "me/Revenue"
    assert tasks["mapped"]["mapped"] is True
    assert "'dais'" in tasks["templated"]["problems"][0]["message"]
    assert "'many'" in tasks["mapped"]["problems"][0]["message"]
    assert "me/gone" in tasks["gone"]["problems"][0]["message"]
    lines = (IMPORTS + dedent(ALL_KINDS)).splitlines()
    assert "DataloreInteractiveRunOperator" in lines[tasks["gone"]["line"] - 1]
    assert '"dais"' in lines[tasks["templated"]["problems"][0]["line"] - 1]
    assert "def decorated" in lines[tasks["decorated"]["line"] - 1]


def test_the_examples_fit_their_notebooks(check: Check) -> None:
    folder = check.folder / "examples"
    needs_airflow_3 = ["mail_figures.py"] if version("apache-airflow").startswith("2.") else []
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("notebooks", *needs_airflow_3))
    assert check("examples") == 0, check.out
    assert check("--offline", "examples") == 0, check.out


def test_a_renamed_control_fails_with_its_name_before_any_run(check: Check, emulator: EmulatorProcess) -> None:
    before = (emulator.folder / REVENUE).read_text()
    path = check.write(
        "renamed",
        """
        revenue = Catalog.read()["Sales/Revenue"]
        with DAG("renamed", schedule=None):
            DataloreRunNotebookOperator(task_id="run", notebook_id=revenue, parameters={"region": "North"})
        """,
    )
    assert check(path) == 0, check.out
    try:
        edit(emulator, lambda cells: control(cells, "region").update(variable="area"))
        assert check(path) == 1
        assert "control 'region' was renamed to 'area'" in check.out
        assert "no control with variable 'region'" in check.out
        assert check("--offline", path) == 0
        assert emulator.runs() == []
    finally:
        (emulator.folder / REVENUE).write_text(before)


def test_files_that_cannot_be_read_do_not_hide_the_others(check: Check) -> None:
    check.write(
        "good",
        'with DAG("good", schedule=None):\n    DataloreRunNotebookOperator(task_id="a", notebook_id="me/forecast")',
    )
    check.write(
        "broken",
        'with DAG("broken", schedule=None):\n'
        '    DataloreRunNotebookOperator(task_id="a", notebook_id=Catalog.read()["Sales/Revenu"])',
    )
    (check.folder / "syntax.py").write_text("from airflow.sdk import DAG\ndef (:\n")
    assert check(".") == 1
    assert "good.a (me/forecast): ok" in check.out
    assert (
        "broken.py:7: cannot be read: DataloreConfigurationError: The catalog has no notebook 'Sales/Revenu'"
        in check.out
    )
    assert "Near to it: 'Sales/Revenue'" in check.out
    assert "syntax.py" in check.out
    tasks = check.tasks(".")
    assert list(tasks) == ["a"]
    assert check.code == 1
    assert "broken.py:7" in check.err


ENDS = {"exits": "import sys\nsys.exit(0)", "skips": "raise BaseException('enough')"}


@pytest.mark.parametrize("case", ENDS)
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "in a folder"])
def test_a_file_that_ends_the_program_hides_no_other_and_is_not_a_success(check: Check, case: str, alone: bool) -> None:
    check.write("good", GOOD)
    check.write(case, f"DAG\n{ENDS[case]}\n")
    assert check(str(check.folder / f"{case}.py") if alone else ".") == 1
    assert f"{case}.py" in check.out
    assert "cannot be read" in check.out
    assert alone or "good.a (me/forecast): ok" in check.out


def test_what_airflow_logs_is_left_out(check: Check) -> None:
    check.write("broken", "DAG\nraise ValueError('no')\n")
    assert check(".") == 1
    assert check.err == ""


def test_tasks_whose_id_is_computed_have_their_line(check: Check) -> None:
    path = check.write(
        "computed",
        """
        with DAG("computed", schedule=None):
            for name in ("a", "b"):
                DataloreRunNotebookOperator(task_id=f"run_{name}", notebook_id="me/forecast", parameters={"dais": 3})
                DataloreRunNotebookOperator(
                    task_id="_".join(("wait", name)),
                    notebook_id="me/forecast",
                    parameters={"dais": 3},
                )
        """,
    )
    lines = {name: [each["line"] for each in found["problems"]] for name, found in check.tasks(path).items()}
    assert lines == {"run_a": [9], "wait_a": [13], "run_b": [9], "wait_b": [13]}


def test_arguments_of_mapped_groups_and_of_own_operators_are_found(check: Check) -> None:
    path = check.write(
        "mapped",
        """
        class Forecast(DataloreRunNotebookOperator):
            def __init__(self, days, **kwargs):
                super().__init__(notebook_id="me/forecast", parameters={"days": days}, **kwargs)

        with DAG("mapped", schedule=None):
            @task_group
            def shop(days):
                DataloreRunNotebookOperator(task_id="one", notebook_id="me/forecast", parameters={"days": days})

            shop.expand(days=[3, "many"])

            @task_group
            def region(region, days):
                DataloreRunNotebookOperator(
                    task_id="one", notebook_id="me/forecast", parameters={"region": region, "days": days}
                )

            region.expand_kwargs([{"region": "North", "days": 1}, {"region": "North", "days": "none"}])

            @task
            def days():
                return [1]

            shop.override(group_id="late").expand(days=days())
            Forecast.partial(task_id="own").expand(days=[3, "all"])
            Forecast.partial(task_id="own_late").expand(days=days())
        """,
    )
    tasks = check.tasks(path)
    problems = {name: [each["message"] for each in found["problems"]] for name, found in tasks.items()}
    for name, value in (("shop.one", "many"), ("region.one", "none"), ("own", "all")):
        [message] = problems[name]
        assert f"Parameter 'days' of notebook 'forecast' is {value!r}" in message
    assert problems["late.one"] == problems["own_late"] == []
    assert "known only when the task runs" in tasks["own_late"]["notes"][0]


def test_default_args_count_for_mapped_tasks(check: Check) -> None:
    path = check.write(
        "defaults",
        """
        with DAG("defaults", schedule=None, default_args={"datalore_conn_id": "emulator"}):
            DataloreRunNotebookOperator.partial(task_id="mapped", notebook_id="me/forecast").expand(
                parameters=[{"days": 3}]
            )
        """,
    )
    assert check.tasks(path)["mapped"]["connection"] == "emulator"


def test_parameters_that_are_no_mapping_and_types_that_are_none_are_found(check: Check) -> None:
    path = check.write(
        "wrong",
        """
        with DAG("wrong", schedule=None, render_template_as_native_obj=True):
            DataloreRunNotebookOperator(task_id="list", notebook_id="me/forecast", parameters=["days"])
            DataloreRunNotebookOperator(task_id="later", notebook_id="me/forecast", parameters="{{ var.json.days }}")
            DataloreRunNotebookOperator(task_id="type", notebook_id="me/forecast", outputs={"days": "int"})
            DataloreRunNotebookOperator.partial(
                task_id="mapped", notebook_id="me/forecast", outputs={"days": 5}
            ).expand(parameters=[{"days": 3}])
            DataloreRunSensor(task_id="sensor", run_id="r1", outputs=["a", "a"])
        """,
    )
    tasks = check.tasks(path)
    problems = {name: [each["message"] for each in found["problems"]] for name, found in tasks.items()}
    assert problems["later"] == []
    for name, words in (
        ("list", "parameters is a list"),
        ("type", "'days': 'int'"),
        ("mapped", "'days': 5"),
        ("sensor", "different names"),
    ):
        assert words in problems[name][0]


def test_github_shows_what_is_wrong_beside_its_line(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    check.write(
        "wrong",
        """
        with DAG("wrong", schedule=None):
            DataloreRunNotebookOperator(
                task_id="a",
                notebook_id="me/forecast",
                parameters={"dais": "100%"},
            )
        """,
    )
    (check.folder / "broken.py").write_text(f'{IMPORTS}DAG\nraise ValueError("no, no: 5%")\n')
    assert check(".") == 1
    annotations = [line for line in check.out.splitlines() if line.startswith("::error ")]
    assert annotations[0].startswith("::error file=wrong.py,line=11::Task a: Notebook 'forecast' has no control")
    assert annotations[1].startswith("::error file=broken.py,line=7::")
    assert annotations[1].endswith("no, no: 5%25")


def test_a_parameter_without_which_the_notebook_has_no_value_is_missed(check: Check, emulator: EmulatorProcess) -> None:
    before = (emulator.folder / REVENUE).read_text()
    path = check.write(
        "missing",
        """
        with DAG("missing", schedule=None):
            DataloreRunNotebookOperator(task_id="a", notebook_id="me/Revenue", parameters={"region": "North"})
            DataloreRunNotebookOperator(task_id="b", notebook_id="me/Revenue", parameters={"since": "{{ ds }}"})
        """,
    )
    try:
        edit(emulator, lambda cells: control(cells, "since").update(startDate=None))
        tasks = check.tasks(path)
    finally:
        (emulator.folder / REVENUE).write_text(before)
    assert any("'since'" in each["message"] and "missing" in each["message"] for each in tasks["a"]["problems"])
    assert not any("missing" in each["message"] for each in tasks["b"]["problems"])


def test_another_lock_file_and_another_connection(check: Check, emulator: EmulatorProcess) -> None:
    path = check.write(
        "other",
        """
        with DAG("other", schedule=None):
            DataloreRunNotebookOperator(task_id="a", notebook_id="me/Revenue", parameters={"region": "West"})
        """,
    )
    lock = check.folder / "other.lock"
    lock.write_text((EXAMPLES / "datalore.lock").read_text().replace('"West"', '"Far west"'))
    assert check("--offline", path) == 0
    assert check("--offline", "--lock", str(lock), path) == 1
    assert "'Far west'" in check.out
    assert check("--lock", str(lock), path) == 1
    assert "now has 'West' as well" in check.out
    assert check("--conn-id", "emulator", str(EXAMPLES / "catalog.py")) == 0, check.out
    assert check("--conn-id", "nothing", path) == 1
    assert "'nothing'" in check.out


def test_a_server_without_notebook_api_is_compared_as_far_as_it_can_be(check: Check, emulator: EmulatorProcess) -> None:
    emulator.set_variant(notebook_api=False)
    try:
        tasks = check.tasks(str(EXAMPLES / "catalog.py"))
    finally:
        emulator.set_variant()
    assert check.code == 0
    assert any("Notebook API" in note for note in tasks["revenue"]["notes"])


def test_wrong_arguments_are_an_error_of_usage(check: Check) -> None:
    assert check("missing.py") == 2
    assert check() == 2
    assert check("--lock", "missing.lock", str(EXAMPLES / "catalog.py")) == 1
