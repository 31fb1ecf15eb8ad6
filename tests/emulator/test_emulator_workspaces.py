"""The Workspace API: workspaces, folders, notebooks and reports; and the ids that files and folders get."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_datalore.emulator.testing import EmulatorProcess
from tests.emulator.emulator_client import Client, write_notebook
from tests.emulator.notebook_client import Notebook

UMLAUT = unicodedata.normalize("NFD", "Umsätze")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """Notebooks of three owners, in folders."""
    folder = tmp_path_factory.mktemp("company")
    write_notebook(folder, "top", "print('top')")
    write_notebook(folder, "own", "1", owner="me")
    for place, title in (
        ("Sales", "Daily sales"),
        ("Sales/2026/May", "Daily sales"),
        ("Sales/2026", f"{UMLAUT} (netto)"),
        ("Sales/2026", "выручка"),
        ("Sales/2026", "план"),
        ("Team A", "v1.2"),
    ):
        write_notebook(folder, title, "import os; print(os.path.basename(os.getcwd()))", owner=place)
    (folder / "Sales" / "data").mkdir()
    (folder / "Sales" / "data" / "a.csv").write_text("1")
    (folder / "Sales" / "new").mkdir()
    write_notebook(folder, "library", "1", owner="Sales/environment/lib")
    (folder / "Sales" / "environment" / "pyvenv.cfg").write_text("")
    options = ["--token", "bob=bobs", "--viewer", "bob:Sales/v-only", "--no-access", "bob:Team-A/v1-2"]
    with EmulatorProcess(folder, *options) as process:
        yield process


@pytest.fixture
def client(company: EmulatorProcess) -> Client:
    return Client(company)


def workspace_id(client: Client, name: str) -> str:
    workspaces = client.get("/api/user_public/v1/workspaces").json()
    [found] = [each["workspace"]["id"] for each in workspaces if each["workspace"]["name"] == name]
    return f"{found['ownerId']}/{found['internalId']}"


def entries(client: Client, workspace: str, folder: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """The entries of the home folder, or of a folder."""
    params = {"workspaceId": workspace}
    if folder is not None:
        params["folderId"] = f"{folder['ownerId']}/{folder['id']}"
    response = client.get(f"/api/workspaces/v1/{'folder-entries' if folder else 'entries'}", params=params)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()
    return found


def walk(client: Client, workspace: str, folder: dict[str, str] | None = None, path: str = "") -> dict[str, str]:
    """The ids of all notebooks of a workspace, by folder and name."""
    found: dict[str, str] = {}
    for entry in entries(client, workspace, folder):
        entity = entry["entity"]
        if "entityId" in entity:
            found |= walk(client, workspace, entity["entityId"], f"{path}{entity['name']}/")
        else:
            found[f"{path}{entity['name']}"] = f"{entity['id']['ownerId']}/{entity['id']['id']}"
    return found


def test_the_workspaces_are_an_array_with_the_users_own_first_class(client: Client) -> None:
    workspaces = client.get("/api/user_public/v1/workspaces").json()
    assert {each["workspace"]["name"]: each["workspace"]["isDefault"] for each in workspaces} == {
        **{"me": True, "Sales": False, "Team A": False}
    }
    for each in workspaces:
        assert set(each) == {
            *("workspace", "owner", "accessLevel", "accessorId", "isSharedWithTeam", "isCreatedFromGit")
        }
        assert set(each["workspace"]["id"]) == {"ownerId", "internalId"}
        assert set(each["workspace"]["homeFolderId"]) == {"ownerId", "id"}
        assert each["owner"]["id"] == each["workspace"]["id"]["ownerId"]
        assert each["accessorId"] == "me"


def test_folders_are_folders_and_titles_are_file_names(client: Client) -> None:
    found = walk(client, workspace_id(client, "Sales"))
    assert set(found) == {*("Daily sales", "2026/May/Daily sales", "2026/Umsätze (netto)", "2026/выручка", "2026/план")}
    assert found["Daily sales"] == "Sales/Daily-sales"
    assert found["2026/Umsätze (netto)"] == "Sales/Umsatze-netto"
    assert len(set(found.values())) == 5
    assert walk(client, workspace_id(client, "Team A")) == {"v1.2": "Team-A/v1-2"}
    assert walk(client, workspace_id(client, "me")) == {"top": "me/top", "own": "me/own"}


def test_ids_have_no_blank_and_no_character_that_datalore_has_not(client: Client) -> None:
    for name in ("Sales", "Team A"):
        workspace = workspace_id(client, name)
        for identifier in (workspace, *walk(client, workspace).values()):
            assert re.fullmatch(r"[A-Za-z0-9_-]+/[A-Za-z0-9_-]+", identifier)


def test_every_listed_notebook_runs_in_its_own_folder(client: Client) -> None:
    found = walk(client, workspace_id(client, "Sales"))
    run = client.run(found["2026/May/Daily sales"], directFileStorageWrite=True)
    assert run["success"] is True
    [artifact] = run["artifacts"]
    assert artifact["name"] == "Daily sales.ipynb"
    assert artifact["path"].endswith("/Daily sales.ipynb")
    assert "May\n" in client.executed(run).cells[0].outputs[0].text


def test_a_notebook_is_known_by_its_id_and_not_by_its_name(client: Client) -> None:
    response = client.submit("Sales/Daily sales")
    assert response.status_code == 404
    assert "Sales/Daily-sales" in response.json()["error"]
    assert Notebook(client, "Sales/Daily-sales").state() == "NOT_STARTED"


def test_a_folder_and_a_notebook_are_described_as_documented(client: Client) -> None:
    workspace = workspace_id(client, "Sales")
    home = entries(client, workspace)
    folders = [each for each in home if "entityId" in each["entity"]]
    # A folder without a notebook contains files of the notebooks beside it, unless it is empty.
    assert [each["entity"]["name"] for each in folders] == ["2026", "new"]
    assert set(folders[0]) == {"entity", "favorite", "accessLevel"}
    assert set(folders[0]["entity"]) == {
        *("entityId", "parentId", "workspaceId", "name", "modificationTime", "createdBy")
    }
    [notebook] = [each for each in home if "entityId" not in each["entity"]]
    assert set(notebook) == {"entity", "favorite", "personalAccessLevel", "reportId"}
    entity = notebook["entity"]
    assert {"kernelType", "instanceTypeId", "runInBackgroundTimeoutSeconds", "createdBy"} < set(entity)
    assert (entity["name"], entity["language"], entity["parentId"]) == (
        *("Daily sales", "PYTHON"),
        folders[0]["entity"]["parentId"],
    )
    assert entity["modificationTime"] > 1_700_000_000_000
    assert notebook["reportId"] is None


def test_what_is_not_shared_is_not_listed(company: EmulatorProcess) -> None:
    bob = Client(company, "bobs")
    names = [each["workspace"]["name"] for each in bob.get("/api/user_public/v1/workspaces").json()]
    assert "Team A" not in names
    hidden = workspace_id(Client(company), "Team A")
    assert bob.get("/api/workspaces/v1/entries", params={"workspaceId": hidden}).status_code == 404


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        ("entries", {}, 400),
        ("entries", {"workspaceId": "no-slash"}, 400),
        ("entries", {"workspaceId": "Sales/none"}, 404),
        ("folder-entries", {"workspaceId": "SALES"}, 400),
        ("folder-entries", {"workspaceId": "SALES", "folderId": "a/b/c"}, 400),
        ("folder-entries", {"workspaceId": "SALES", "folderId": "Sales/none"}, 404),
        ("reports", {"workspaceId": "Sales/none"}, 404),
    ],
)
def test_a_request_for_nothing_that_exists_is_refused(
    client: Client, path: str, params: dict[str, str], status: int
) -> None:
    known = workspace_id(client, "Sales")
    params = {name: known if value == "SALES" else value for name, value in params.items()}
    response = client.get(f"/api/workspaces/v1/{path}", params=params)
    assert (response.status_code, bool(response.json()["error"])) == (status, True)


def test_a_folder_of_another_workspace_is_not_found(client: Client) -> None:
    sales, team = workspace_id(client, "Sales"), workspace_id(client, "Team A")
    folder = next(each["entity"]["entityId"] for each in entries(client, sales) if "entityId" in each["entity"])
    params = {"workspaceId": team, "folderId": f"{folder['ownerId']}/{folder['id']}"}
    assert client.get("/api/workspaces/v1/folder-entries", params=params).status_code == 404


def test_reports_are_published_with_all_their_fields_and_listed(client: Client) -> None:
    opened = Notebook(client, "me/own")
    workspace = workspace_id(client, "me")
    options = {"fullWidth": False, "canDownloadAndEditCopy": True}
    static = opened.json("report/publish", type="STATIC", mode="CREATE", **options)
    opened.json("report/publish", type="INTERACTIVE", mode="CREATE", computationMode="JUPYTER")
    listed = client.get("/api/workspaces/v1/reports", params={"workspaceId": workspace}).json()
    by_format = {each["reportFormat"]: each for each in listed}
    assert set(by_format) == {"STATIC", "INTERACTIVE"}
    assert by_format["STATIC"]["id"] == {"ownerId": "me", "id": static["reportId"]}
    assert by_format["STATIC"]["publishedFrom"] == {"ownerId": "me", "id": "own"}
    assert (by_format["STATIC"]["fullWidth"], by_format["STATIC"]["isPublic"]) == (False, False)
    assert (by_format["INTERACTIVE"]["fullWidth"], by_format["INTERACTIVE"]["computationMode"]) == (True, "JUPYTER")
    assert by_format["STATIC"]["name"] == "own"
    updated = opened.json("report/publish", type="STATIC", mode="UPDATE")
    assert updated == {"reportId": static["reportId"], "type": "STATIC", "mode": "UPDATE"}
    [entry] = [each for each in entries(client, workspace) if each["entity"]["name"] == "own"]
    assert entry["reportId"] == {"ownerId": "me", "id": static["reportId"]}


def test_a_report_needs_a_layout_that_is_not_empty(company: EmulatorProcess, client: Client) -> None:
    opened = Notebook(client, "me/top")
    layout = opened.json("report")
    assert layout["initialized"] is True
    [cell] = [cell for tab in layout["tabs"] for row in tab["rows"] for cell in row["cells"]]
    assert cell["cellId"] == opened.json("cells")["cells"][0]["cellId"]
    write_notebook(company.folder, "empty")
    response = Notebook(client, "me/empty").call("report/publish", type="STATIC", mode="CREATE")
    assert (response.status_code, "is empty" in response.json()["error"]) == (400, True)
    company.set_variant(report_layout="absent")
    assert opened.json("report") == {"initialized": False, "tabs": []}
    response = opened.call("report/publish", type="STATIC", mode="CREATE")
    company.set_variant()
    assert (response.status_code, "no report layout" in response.json()["error"]) == (400, True)


def test_a_new_file_keeps_the_ids_of_the_others(tmp_path: Path) -> None:
    write_notebook(tmp_path, "Daily sales", "1", owner="ann")
    with EmulatorProcess(tmp_path) as process:
        client = Client(process)
        before = walk(client, workspace_id(client, "ann"))
        write_notebook(tmp_path, "Daily sales", "1", owner="ann/old")
        write_notebook(tmp_path, "Another", "1", owner="ann")
        after = walk(client, workspace_id(client, "ann"))
    assert before == {"Daily sales": "ann/Daily-sales"}
    assert after["Daily sales"] == "ann/Daily-sales"
    assert after["old/Daily sales"].startswith("ann/Daily-sales-")


def test_a_copy_of_the_folder_has_the_same_ids(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        for owner in ("ann", "ann/old", "ann/new"):
            write_notebook(tmp_path / name, "Daily sales", "1", owner=owner)
        with EmulatorProcess(tmp_path / name) as process:
            client = Client(process)
            found.append(walk(client, workspace_id(client, "ann")))
    assert found[0] == found[1]
    assert len(set(found[0].values())) == 3
