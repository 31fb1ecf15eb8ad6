"""What a web page in a developer's browser, or an odd request, does to the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
import trustme

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, write_notebook
from tests.emulator.notebook_client import Notebook, control

pytestmark = pytest.mark.audit


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    with EmulatorProcess(tmp_path_factory.mktemp("notebooks")) as process:
        write_notebook(process.folder, "sales", "1", owner="me")
        yield process


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=lambda headers: "".join(headers.values()),
)
def test_the_page_of_another_site_changes_nothing(emulator: EmulatorProcess, headers: dict[str, str]) -> None:
    for method, path in (
        ("POST", "/emulator/reports/me/sales"),
        ("PUT", "/emulator/tokens"),
        ("DELETE", "/emulator/faults"),
        ("POST", "/api/run/v1/notebook"),
    ):
        response = requests.request(method, f"{emulator.url}{path}", headers=headers, json=[], timeout=60)
        assert response.status_code == 403
        assert "another site's page" in response.json()["error"]
    assert requests.get(f"{emulator.url}/reports/me/sales", timeout=60).status_code == 404


def test_its_own_pages_and_programs_may(emulator: EmulatorProcess) -> None:
    own = [{}, {"Origin": emulator.url}, {"Origin": emulator.url, "Sec-Fetch-Site": "same-origin"}]
    for headers in own:
        answer = requests.post(f"{emulator.url}/api/run/v1/notebook", headers=headers, json={}, timeout=60)
        assert answer.status_code == 401


def test_links_from_other_sites_open_its_pages(emulator: EmulatorProcess) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://airflow.example"}
    assert requests.get(f"{emulator.url}/", headers=headers, timeout=60).status_code == 200


@pytest.mark.parametrize("name", ["x; import os", "__import__('os').system('id')", "a b", "1x", ""])
def test_the_variable_of_a_dropdown_is_a_name(emulator: EmulatorProcess, name: str) -> None:
    fields = {"items": [], "selectedValue": "2", "multiselect": False, "selectedVariable": "numbers"}
    written = write_notebook(emulator.folder, "controls", control("DROPDOWN", "x", **fields), owner="me")
    notebook = Notebook(Client(emulator), written)
    cell = notebook.json("cells")["cells"][0]
    changed = {**cell["data"]["control"], "selectedVariable": name}
    response = notebook.call("cell/controls/update", cellId=cell["cellId"], control=changed)
    assert response.status_code == 400, response.text
    assert "selectedVariable" in response.text


def test_with_tls_the_cookie_is_sent_over_tls_only(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate, authority_file = tmp_path / "server.pem", tmp_path / "ca.pem"
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    authority.cert_pem.write_to_path(str(authority_file))
    folder = tmp_path / "notebooks"
    folder.mkdir()
    with EmulatorProcess(folder, "--tls-cert", str(certificate), ca=authority_file) as process:
        url = f"{process.url}/?token={process.token}"
        cookie = requests.get(url, verify=str(authority_file), allow_redirects=False, timeout=60).headers["Set-Cookie"]
        assert urlsplit(process.url).scheme == "https"
        assert "; Secure" in cookie


LONG = "x" * 5000


@pytest.mark.parametrize(
    "path",
    [
        f"/{LONG}",
        f"/notebook/me/{LONG}",
        f"/notebook/{LONG}/sales",
        f"/runs/{LONG}",
        f"/reports/me/{LONG}",
        f"/api/run/v1/{LONG}",
        f"/notebook/me/sales/artifacts/{LONG}/a.ipynb",
        f"/notebook/me/sales/artifacts/r/{LONG}",
    ],
    ids=lambda path: path.replace(LONG, "long"),
)
def test_a_long_path_is_answered_in_words(emulator: EmulatorProcess, path: str) -> None:
    headers = {"Authorization": f"Bearer {emulator.token}"}
    assert requests.get(f"{emulator.url}{path}", headers=headers, timeout=60).status_code == 404


@pytest.mark.parametrize("path", [LONG, "a/" * 2500, "ж" * 200])
def test_a_long_path_of_a_file_is_answered_in_words(emulator: EmulatorProcess, path: str) -> None:
    notebook = Notebook(Client(emulator), "me/sales")
    long = f"data/notebook_files/{path}"
    assert notebook.json("file/exists", filePath=long) == {"exists": False}
    for call in ("file", "file/read", "file/delete"):
        response = notebook.call(call, filePath=long)
        assert response.status_code == 400, (call, response.text)
        assert "longer than file systems allow" in response.text
    assert notebook.call("files", directory=long).status_code == 400
