"""A notebook's id, a run that is asked for, a run, its artifacts."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_datalore.api.models import Artifact, NotebookId, Run
from airflow_provider_datalore.api.run_request import RunRequest
from airflow_provider_datalore.exceptions import DataloreConfigurationError, DataloreRunFailedError
from tests.lines import wrapped

END = datetime(2026, 1, 31, 12, 30, tzinfo=UTC)
NOTEBOOK = NotebookId("ann", "sales")


def run(**fields: Any) -> Run:
    """A run as Datalore's JSON describes it."""
    return Run.model_validate({"runId": "r1", **fields})


# The id of a notebook


@pytest.mark.parametrize(
    ("text", "owner", "notebook"),
    [
        ("ann/sales", "ann", "sales"),
        ("/ann/sales", "ann", "sales"),
        ("ann/sales/", "ann", "sales"),
        (" ann/sales\n", "ann", "sales"),
        ("aBc123_-.~/D0", "aBc123_-.~", "D0"),
        ("ann@example.com/sales", "ann@example.com", "sales"),
        ("änn/数据", "änn", "数据"),
    ],
)
def test_the_id_of_a_notebook_is_owner_and_id(text: str, owner: str, notebook: str) -> None:
    parsed = NotebookId.parse(text)
    assert (parsed.owner, parsed.id, parsed.address) == (owner, notebook, None)
    assert str(parsed) == f"{owner}/{notebook}"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://datalore.jetbrains.com/notebook/ann/sales", "https://datalore.jetbrains.com"),
        ("https://datalore.jetbrains.com/notebook/ann/sales/", "https://datalore.jetbrains.com"),
        ("  https://datalore.jetbrains.com/notebook/ann/sales\n", "https://datalore.jetbrains.com"),
        ("https://datalore.jetbrains.com/notebook/ann/sales/extra/parts", "https://datalore.jetbrains.com"),
        ("https://datalore.jetbrains.com/notebook/ann/sales?worksheet=2", "https://datalore.jetbrains.com"),
        ("https://datalore.jetbrains.com/notebook/ann/sales#cell-3", "https://datalore.jetbrains.com"),
        ("http://localhost:8080/notebook/ann/sales", "http://localhost:8080"),
        ("https://example.com/tools/datalore/notebook/ann/sales", "https://example.com/tools/datalore"),
        ("https://[::1]:8443/notebook/ann/sales", "https://[::1]:8443"),
    ],
)
def test_a_pasted_address_is_read_as_the_notebook_and_its_datalore(url: str, address: str) -> None:
    parsed = NotebookId.parse(url)
    assert str(parsed) == "ann/sales"
    assert parsed.address == address


def test_an_id_that_is_percent_encoded_in_a_pasted_address_is_decoded() -> None:
    parsed = NotebookId.parse("https://datalore.example.com/notebook/ann%40example.com/%C3%A4")
    assert (parsed.owner, parsed.id) == ("ann@example.com", "ä")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "/",
        "sales",
        "ann/",
        "/sales",
        "ann//sales",
        "ann/sales/more",
        "ann/sa les",
        "ann/sales\nx",
        "ann/sales?x=1",
        "ann/sales#x",
        "ann/sales%2F",
        "ann\\sales",
        "ann/sales\\..",
        "./sales",
        "ann/..",
        "../..",
        "ann/\x00",
        "ann/\x7f",
        "https://datalore.jetbrains.com",
        "https://datalore.jetbrains.com/notebook",
        "https://datalore.jetbrains.com/notebook/ann",
        "https://datalore.jetbrains.com/notebook/ann/",
        "https://datalore.jetbrains.com/notebook//sales",
        "https://datalore.jetbrains.com/report/static/abc",
        "https://datalore.jetbrains.com/notebook/../sales",
        "https://datalore.jetbrains.com/notebook/%2e%2e/sales",
        "https://datalore.jetbrains.com/notebook/ann/a%2Fb",
        "https://datalore.jetbrains.com/notebook/ann/a%00",
        "https://[::1/notebook/ann/sales",
        "ftp://datalore.jetbrains.com/notebook/ann/sales",
        "file:///notebook/ann/sales",
        "javascript://x/notebook/ann/sales",
    ],
)
def test_what_is_no_notebook_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(DataloreConfigurationError, match="/notebook/") as caught:
        NotebookId.parse(text)
    assert repr(text.strip()) in str(caught.value)


@pytest.mark.parametrize("text", [None, 5, b"ann/sales", ["ann", "sales"], {"id": "sales"}, True])
def test_what_is_no_text_is_refused_naming_its_type(text: object) -> None:
    with pytest.raises(DataloreConfigurationError, match=f"a {type(text).__name__}, not a string"):
        NotebookId.parse(text)


def test_the_page_of_a_notebook_is_percent_encoded() -> None:
    assert NotebookId("ann@example.com", "ä&b").path == "/notebook/ann%40example.com/%C3%A4%26b"


def test_half_a_character_is_in_no_id_since_it_has_no_place_in_an_address() -> None:
    with pytest.raises(DataloreConfigurationError):
        NotebookId.parse("ann/\ud800")


def test_two_ways_to_write_a_notebook_name_the_same_notebook() -> None:
    by_id, by_address = NotebookId.parse("ann/sales"), NotebookId.parse("https://example.com/notebook/ann/sales")
    assert by_id == by_address
    assert len({by_id, by_address}) == 1


# A run that is asked for


def test_what_was_not_set_is_not_sent() -> None:
    assert RunRequest.build(NOTEBOOK).body() == {"notebookId": "ann/sales"}


def test_everything_that_was_set_is_sent() -> None:
    request = RunRequest.build(
        "ann/sales",
        parameters={"region": "EU", "top": 5, "since": None},
        update_report="on success",
        direct_file_storage_write=False,
    )
    assert request.body() == {
        "notebookId": "ann/sales",
        "parameters": [{"name": "region", "value": "EU"}, {"name": "top", "value": "5"}],
        "updateReport": "on success",
        "directFileStorageWrite": False,
    }


@pytest.mark.parametrize("parameters", [None, {}, {"only": None}])
def test_no_parameters_send_no_list(parameters: object) -> None:
    assert "parameters" not in RunRequest.build(NOTEBOOK, parameters=parameters).body()


def test_the_order_of_the_parameters_is_kept() -> None:
    body = RunRequest.build(NOTEBOOK, parameters={"z": "1", "a": "2", "m": "3"}).body()
    assert [parameter["name"] for parameter in body["parameters"]] == ["z", "a", "m"]


def test_a_notebook_id_that_was_read_is_taken_as_it_is() -> None:
    assert RunRequest.build(NOTEBOOK).notebook_id is NOTEBOOK


def test_the_id_of_a_pasted_address_is_sent_alone() -> None:
    notebook = NotebookId.parse("https://example.com/notebook/ann/sales?x")
    assert RunRequest.build(notebook).body()["notebookId"] == "ann/sales"


@pytest.mark.parametrize("choice", ["never", "on success"])
def test_each_documented_update_report_is_sent(choice: str) -> None:
    assert RunRequest.build(NOTEBOOK, update_report=choice).body()["updateReport"] == choice


@pytest.mark.parametrize("choice", ["", "always", "on_success", "On success", " never", True, False, 1, ["never"], {}])
def test_an_unknown_update_report_is_refused_with_the_choices(choice: object) -> None:
    with pytest.raises(DataloreConfigurationError, match="'never' or 'on success'") as caught:
        RunRequest.build(NOTEBOOK, update_report=choice)
    assert repr(choice) in str(caught.value)
    assert "ann/sales" in str(caught.value)


@pytest.mark.parametrize("value", [True, False])
def test_each_direct_file_storage_write_is_sent(value: bool) -> None:
    assert RunRequest.build(NOTEBOOK, direct_file_storage_write=value).body()["directFileStorageWrite"] is value


@pytest.mark.parametrize("value", ["true", "False", 1, 0, [], ""])
def test_a_direct_file_storage_write_that_is_no_boolean_is_refused(value: object) -> None:
    with pytest.raises(DataloreConfigurationError, match=wrapped(r"ann/sales.*True or False")) as caught:
        RunRequest.build(NOTEBOOK, direct_file_storage_write=value)
    assert f"direct_file_storage_write is {value!r}" in str(caught.value)


def test_a_parameter_that_cannot_be_sent_is_refused_naming_notebook_and_parameter() -> None:
    with pytest.raises(DataloreConfigurationError, match=r"ann/sales.*'when'.*timedelta"):
        RunRequest.build(NOTEBOOK, parameters={"when": timedelta(1)})


# A run


def test_everything_that_is_documented_is_read() -> None:
    read = run(
        notebookId="ann/sales",
        userId="ann",
        startTime="2026-01-31T12:26:06Z",
        endTime="2026-01-31T12:30:00Z",
        success=True,
        status="SUCCESS",
        updateReport="on success",
        directFileStorageWrite=False,
        artifacts=[{"name": "sales.ipynb", "path": "/a/sales.ipynb"}, {"name": "x.csv", "path": "/a/x.csv"}],
        readOnly=True,
    )
    assert read == Run(
        run_id="r1",
        notebook_id="ann/sales",
        user_id="ann",
        start_time=datetime(2026, 1, 31, 12, 26, 6, tzinfo=UTC),
        end_time=END,
        success=True,
        status="SUCCESS",
        update_report="on success",
        direct_file_storage_write=False,
        artifacts=(
            Artifact(name="sales.ipynb", path="/a/sales.ipynb"),
            Artifact(name="x.csv", path="/a/x.csv"),
        ),
        read_only=True,
    )


def test_a_run_of_which_only_the_id_is_known_goes_on() -> None:
    read = run()
    assert (read.is_finished, read.succeeded, read.artifacts, read.success) == (False, False, (), None)


def test_fields_that_nobody_knows_are_ignored() -> None:
    assert run(queue={"position": 3}, costs=[1, 2]) == run()


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-31T12:30:00Z",
        "2026-01-31T12:30:00.000Z",
        "2026-01-31T14:30:00+02:00",
        "2026-01-31T12:30:00",
        "2026-01-31 12:30:00",
        1769862600,
        1769862600000,
        1769862600000.0,
        "1769862600000",
    ],
)
def test_a_time_is_read_in_whatever_form_it_comes_and_is_in_utc(time: object) -> None:
    read = run(startTime=time, endTime=time)
    assert read.start_time == read.end_time == END
    assert read.end_time is not None
    assert read.end_time.utcoffset() == timedelta(0)


def test_a_time_that_python_made_without_a_zone_is_taken_as_utc() -> None:
    assert Run(run_id="r1", end_time=datetime(2026, 1, 31, 12, 30)).end_time == END


@pytest.mark.parametrize("absent", [None, "", 0, False])
def test_an_end_time_that_is_empty_is_none(absent: object) -> None:
    assert not run(endTime=absent).is_finished


@pytest.mark.parametrize(
    "wrong", ["yesterday", "0001-01-01T00:00:00+14:00", [1], {"at": 1}, "9999-12-31T23:59:59-12:00"]
)
def test_an_end_time_that_cannot_be_read_is_an_error_since_it_decides(wrong: object) -> None:
    with pytest.raises(ValueError, match="endTime"):
        run(endTime=wrong)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("notebookId", {"ownerId": "ann", "id": "sales"}),
        ("userId", 5),
        ("startTime", "yesterday"),
        ("startTime", "0001-01-01T00:00:00+14:00"),
        ("status", {"state": "RUNNING"}),
        ("status", 3),
        ("updateReport", ["never"]),
        ("directFileStorageWrite", "perhaps"),
        ("readOnly", "perhaps"),
    ],
)
def test_what_only_informs_does_not_lose_a_run_when_it_cannot_be_read(field: str, wrong: object) -> None:
    read = run(endTime="2026-01-31T12:30:00Z", success=True, **{field: wrong})
    assert read == run(endTime="2026-01-31T12:30:00Z", success=True)
    assert read.succeeded


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "sales.ipynb",
        5,
        {"name": "a", "path": "/a"},
        ["sales.ipynb"],
        [None],
        [{}],
        [{"name": "a"}],
        [{"path": "/a"}],
        [{"name": None, "path": "/a"}],
        [{"name": "a", "path": 5}],
    ],
)
def test_artifacts_that_cannot_be_read_do_not_lose_a_run(wrong: object) -> None:
    assert run(artifacts=wrong) == run()


def test_a_whole_artifact_is_kept_beside_a_broken_one() -> None:
    read = run(artifacts=[{"name": "a"}, {"name": "b", "path": "/b", "size": 5}])
    assert read.artifacts == (Artifact(name="b", path="/b"),)


@pytest.mark.parametrize("success", [None, False])
def test_a_run_that_ended_without_success_has_failed(success: bool | None) -> None:
    ended = Run(run_id="r1", end_time=END, success=success)
    assert ended.is_finished
    assert not ended.succeeded
    with pytest.raises(DataloreRunFailedError, match=f"success={success}") as caught:
        ended.raise_for_failure()
    assert caught.value.run is ended


@pytest.mark.parametrize("success", [None, False, True])
def test_a_run_that_goes_on_has_not_failed_whatever_success_says(success: bool | None) -> None:
    going_on = Run(run_id="r1", success=success, status="RUNNING")
    assert not going_on.is_finished
    assert not going_on.succeeded
    assert going_on.raise_for_failure() is going_on


def test_a_run_that_ended_well_is_returned() -> None:
    ended = Run(run_id="r1", end_time=END, success=True)
    assert ended.succeeded
    assert ended.raise_for_failure() is ended


def test_a_failure_names_run_notebook_end_and_artifact() -> None:
    failed = run(
        notebookId="ann/sales",
        endTime="2026-01-31T14:30:00+02:00",
        success=False,
        artifacts=[{"name": "sales.ipynb", "path": "/a"}],
    )
    with pytest.raises(DataloreRunFailedError) as caught:
        failed.raise_for_failure()
    for part in ("r1", "ann/sales", "2026-01-31 12:30:00 UTC", "'sales.ipynb'"):
        assert part in str(caught.value)


def test_a_failure_without_artifact_says_where_to_look() -> None:
    with pytest.raises(DataloreRunFailedError, match="Open the notebook in Datalore"):
        Run(run_id="r1", end_time=END).raise_for_failure()


def test_the_executed_notebook_is_the_first_ipynb() -> None:
    names = ("x.csv", "sales.ipynb", "other.ipynb")
    assert run(artifacts=[{"name": name, "path": f"/{name}"} for name in names]).executed_notebook == Artifact(
        name="sales.ipynb", path="/sales.ipynb"
    )


@pytest.mark.parametrize("names", [(), ("x.csv",), ("ipynb",), ("sales.ipynb.bak",)])
def test_a_run_without_ipynb_has_no_executed_notebook(names: tuple[str, ...]) -> None:
    assert run(artifacts=[{"name": name, "path": "/a"} for name in names]).executed_notebook is None


def test_the_json_of_a_run_is_scalars_and_reads_back_as_the_same_run() -> None:
    read = run(
        notebookId="ann/sales",
        startTime="2026-01-31T12:26:06+02:00",
        endTime="2026-01-31T12:30:00.5Z",
        success=False,
        artifacts=[{"name": "a", "path": "/a"}],
        readOnly=False,
    )
    as_json = json.loads(json.dumps(read.to_json()))
    assert Run.model_validate(as_json) == read
    assert as_json == {
        "run_id": "r1",
        "notebook_id": "ann/sales",
        "user_id": None,
        "start_time": "2026-01-31T10:26:06Z",
        "end_time": "2026-01-31T12:30:00.500000Z",
        "success": False,
        "status": None,
        "update_report": None,
        "direct_file_storage_write": None,
        "artifacts": [{"name": "a", "path": "/a"}],
        "read_only": False,
    }


def test_a_run_with_half_a_character_in_it_can_be_handed_on_as_json() -> None:
    read = run(notebookId="\ud800", artifacts=[{"name": "\udfff.ipynb", "path": "/a\0"}])
    kept = Run.model_validate(json.loads(json.dumps(read.to_json(), ensure_ascii=False).encode()))
    assert kept == run(notebookId="\ufffd", artifacts=[{"name": "\ufffd.ipynb", "path": "/a\ufffd"}])


def test_a_run_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        run().success = True


def test_a_run_pickles() -> None:
    read = run(endTime="2026-01-31T14:30:00+02:00", artifacts=[{"name": "a", "path": "/a"}])
    assert pickle.loads(pickle.dumps(read)) == read  # noqa: S301  (its own)


def test_what_a_server_sent_is_not_repeated_in_the_error_about_it() -> None:
    with pytest.raises(ValueError, match="endTime") as caught:
        run(endTime="secret-value")
    assert "secret-value" not in str(caught.value)


def test_a_time_east_of_greenwich_is_the_same_moment_in_utc() -> None:
    local = datetime(2026, 1, 31, 14, 30, tzinfo=timezone(timedelta(hours=2)))
    ended = Run(run_id="r1", end_time=local).end_time
    assert ended == END
    assert str(ended) == "2026-01-31 12:30:00+00:00"


def test_a_run_that_succeeded_is_over_although_no_end_is_reported() -> None:
    artifacts = (Artifact(name="sales.ipynb", path="/a/sales.ipynb"),)
    ended = Run(run_id="r1", success=True, artifacts=artifacts)
    assert ended.is_finished
    assert ended.succeeded
    assert ended.raise_for_failure() is ended
    assert not Run(run_id="r1", success=True, artifacts=artifacts, status="RUNNING").is_finished
    assert not Run(run_id="r1", success=False, artifacts=artifacts).is_finished
    assert not Run(run_id="r1", success=True).is_finished


def test_a_status_that_datalore_did_not_report_is_not_made_up() -> None:
    assert Run(run_id="r1").reported_status == "no status and no end time"
    assert Run(run_id="r1", status="RUNNING").reported_status == "status 'RUNNING'"
