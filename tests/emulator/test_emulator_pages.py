"""The HTML pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, Write, gate, gate_pid, write_notebook


@pytest.fixture
def browser(datalore: EmulatorProcess) -> Client:
    """A browser without a token."""
    return Client(datalore, token="")


def test_the_first_page_lists_notebooks_and_runs(browser: Client, notebook: Write, finished: dict[str, Any]) -> None:
    notebook("1", name="Daily & <b>")
    page = browser.get("/").text
    assert "me/Daily-b</a> (Daily &amp; &lt;b&gt;)" in page
    assert "/notebook/me/Daily-b'" in page
    assert f"/runs/{finished['runId']}" in page
    assert "succeeded" in page


def test_a_notebook_is_shown_with_its_outputs(browser: Client, datalore: EmulatorProcess) -> None:
    cell = nbformat.v4.new_code_cell("figures()")
    cell.outputs = [nbformat.v4.new_output("stream", text="saved figures\n")]
    notebook_id = write_notebook(datalore.folder, "shown", cell)
    page = browser.get(f"/notebook/{notebook_id}")
    assert page.status_code == 200
    assert "saved figures" in page.text


def test_a_run_is_shown_as_it_was_executed(client: Client, browser: Client, notebook: Write) -> None:
    run = client.run(notebook("raise ValueError('no ' + 'data')"))
    assert "no data" in browser.get(f"/runs/{run['runId']}").text


def test_a_run_that_has_not_ended_has_a_page(client: Client, browser: Client, notebook: Write, tmp_path: Path) -> None:
    go = tmp_path / "go"
    run_id = client.start(notebook(gate(go)))
    gate_pid(go)
    page = browser.get(f"/runs/{run_id}").text
    go.touch()
    assert "running" in page
    client.wait(run_id)


@pytest.mark.parametrize("kind", ["notebook", "reports"])
def test_scripts_of_a_notebook_do_not_run_in_the_browser(browser: Client, datalore: EmulatorProcess, kind: str) -> None:
    notebook_id = write_notebook(datalore.folder, "scripted", "1")
    datalore.publish_report(notebook_id)
    policy = browser.get(f"/{kind}/{notebook_id}").headers["Content-Security-Policy"]
    assert policy.startswith("sandbox")
    assert "default-src 'none'" in policy
    assert "script" not in policy


@pytest.mark.parametrize(
    "path", ["/notebook/me/none", "/runs/none", "/reports/me/none", "/reports/../x", "/report/static/me/none", "/x"]
)
def test_a_page_that_does_not_exist_is_a_404(browser: Client, path: str) -> None:
    assert browser.get(path).status_code == 404


def test_only_an_existing_notebook_can_be_published_as_a_report(datalore: EmulatorProcess) -> None:
    for notebook_id in ("me/none", "..%2Fme/none"):
        with pytest.raises(RuntimeError, match="404"):
            datalore.admin("POST", f"reports/{notebook_id}")


def test_a_browser_can_download_after_opening_the_printed_link(
    browser: Client, datalore: EmulatorProcess, finished: dict[str, Any]
) -> None:
    path = quote(finished["artifacts"][0]["path"])
    assert browser.get(path).status_code == 401
    link = next(line for line in datalore.output if line.rstrip().endswith(f"token={datalore.token}"))
    browser.get(link.split()[-1].removeprefix(datalore.url))
    assert browser.get(path).status_code == 200


@pytest.mark.parametrize("token", ["", "old", "ж", "a\r\nb"])
def test_a_token_that_is_not_valid_is_not_stored_in_the_browser(browser: Client, token: str) -> None:
    response = browser.get("/", params={"token": token}, allow_redirects=False)
    assert response.status_code == 401
    assert "Set-Cookie" not in response.headers


def test_the_cookie_of_a_browser_cannot_start_a_run(browser: Client, datalore: EmulatorProcess) -> None:
    browser.get(f"/?token={datalore.token}")
    assert browser.submit("me/viewed").status_code == 401
