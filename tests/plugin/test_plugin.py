"""The plugin as Airflow loads it."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import airflow
import pytest

from airflow_provider_datalore.plugin.datalore import DatalorePlugin

HAS_TABS = tuple(map(int, airflow.__version__.split(".")[:2])) >= (3, 1)


def output_of(*lines: str) -> str:
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_airflow_finds_it_by_its_entry_point() -> None:
    [entry_point] = importlib.metadata.entry_points(group="airflow.plugins", name="datalore")
    assert entry_point.load() is DatalorePlugin


@pytest.mark.skipif(not HAS_TABS, reason="Airflow before 3.1 has no tabs")
def test_it_adds_a_tab_to_task_instances_and_a_page_to_the_navigation() -> None:
    views = DatalorePlugin.external_views
    assert {view["destination"]: view["name"] for view in views} == {"task_instance": "Datalore", "nav": "Datalore"}
    # Airflow leaves out a view whose route another view has.
    assert len({view["url_route"] for view in views}) == 2
    # Airflow may be served under a path prefix.
    assert not any(view["href"].startswith(("/", "http")) for view in views)


@pytest.mark.skipif(HAS_TABS, reason="Airflow 3.1 has tabs")
def test_there_is_no_tab_and_no_error_before_airflow_3_1() -> None:
    assert (DatalorePlugin.external_views, DatalorePlugin.fastapi_apps) == ([], [])


def test_without_the_extra_there_is_no_tab_and_the_api_server_logs_how_to_add_it() -> None:
    output = output_of(
        "import importlib.util, logging, sys",
        "found = importlib.util.find_spec",
        "importlib.util.find_spec = lambda name, *a: None if name == 'nbconvert' else found(name, *a)",
        "logging.basicConfig(level='INFO', force=True)",
        "from airflow_provider_datalore.plugin.datalore import DatalorePlugin, log",
        "log.propagate, log.disabled = True, False; log.setLevel('INFO'); logging.getLogger().handlers[:] = []",
        "log.addHandler(logging.StreamHandler())",
        "sys.argv = ['airflow', 'scheduler']; DatalorePlugin.on_load()",
        "print('tabs', DatalorePlugin.external_views, DatalorePlugin.fastapi_apps)",
        "sys.argv = ['airflow', 'api-server']; DatalorePlugin.on_load()",
    )
    assert "tabs [] []" in output
    assert output.count("pip install 'airflow-provider-datalore[ui]'") == (1 if HAS_TABS else 0)


def test_loading_it_imports_none_of_the_libraries_of_the_tab() -> None:
    loaded = output_of(
        "import sys",
        "from airflow.providers.common.compat.sdk import AirflowPlugin; AirflowPlugin; before = set(sys.modules)",
        "import airflow_provider_datalore.plugin.datalore",
        "print(*set(sys.modules) - before)",
    )
    roots = {name.split(".")[0] for name in loaded.splitlines()[-1].split()}
    assert not roots & {"fastapi", "nbconvert", "nbformat", "requests", "jinja2", "pydantic"}


@pytest.mark.parametrize(("command", "is_imported"), [("scheduler", True), ("api-server", False), ("triggerer", False)])
def test_only_processes_that_start_tasks_import_what_tasks_need(command: str, is_imported: bool) -> None:
    output = output_of(
        "import sys",
        "from airflow_provider_datalore.plugin.datalore import DatalorePlugin",
        f"sys.argv = ['airflow', {command!r}]; DatalorePlugin.on_load()",
        "print('imported', 'airflow_provider_datalore.operators.datalore' in sys.modules)",
    )
    assert f"imported {is_imported}" in output


def test_an_option_that_is_not_valid_fails_the_task_and_not_the_scheduler() -> None:
    output = output_of(
        "import os, sys",
        "os.environ['AIRFLOW__DATALORE__POLL_INTERVAL'] = 'soon'",
        "from airflow_provider_datalore.plugin.datalore import DatalorePlugin",
        "sys.argv = ['airflow', 'scheduler']; DatalorePlugin.on_load()",
        "try:",
        "    import airflow_provider_datalore.operators.datalore",
        "except Exception as error:",
        "    print('the task:', error)",
    )
    assert "the task: Option poll_interval in section [datalore]" in output
