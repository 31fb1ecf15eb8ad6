"""What a DAG author gets from DataloreDownloadArtifactsOperator."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreNotFoundError,
    DataloreUnavailableError,
)
from airflow_provider_datalore.operators.datalore import DataloreDownloadArtifactsOperator
from tests.artifacts.conftest import LocalPlace, Place
from tests.lines import wrapped
from tests.tasks.conftest import Context, Datalore, TaskInstance

FILES = {"sales.ipynb": b"{}", "a.csv": b"1,2", "b.csv": b"3,4", "plot.png": b"\x89PNG"}
LAST_FOUND = "/notebook/ann/sales/artifacts/run-1/"


def operator(place: Place, **options: Any) -> DataloreDownloadArtifactsOperator:
    arguments = {"task_id": "download", "run_id": "run-1", "destination": place.destination, **options}
    return DataloreDownloadArtifactsOperator(**arguments)


def made(datalore: Datalore, *names: str, success: bool = True) -> None:
    """Let the run have artifacts of these names, each at a path with its number."""
    artifacts = [{"name": name, "path": f"{LAST_FOUND}{number}"} for number, name in enumerate(names)]
    datalore.finishes(artifacts=artifacts, success=success)
    for number, name in enumerate(names):
        datalore.route("GET", f"{LAST_FOUND}{number}", body=FILES.get(name, str(number).encode()))


class TestWhatItWrites:
    def test_everything_and_the_paths_are_returned(self, datalore: Datalore, context: Context, place: Place) -> None:
        made(datalore, *FILES)
        paths = operator(place).execute(context)
        assert place.files() == FILES
        assert paths == [str(ObjectStoragePath(place.destination) / name) for name in FILES]

    def test_nothing_of_a_run_that_made_nothing(self, datalore: Datalore, context: Context, local: LocalPlace) -> None:
        made(datalore)
        assert operator(local).execute(context) == []

    def test_what_a_failed_run_made(self, datalore: Datalore, context: Context, local: LocalPlace) -> None:
        made(datalore, "sales.ipynb", success=False)
        operator(local).execute(context)
        assert local.files() == {"sales.ipynb": b"{}"}

    def test_several_of_one_name(self, datalore: Datalore, context: Context, place: Place) -> None:
        made(datalore, "x/a", "A", "..", "y/a")
        operator(place).execute(context)
        assert place.files() == {"a": b"0", "A-2": b"1", "artifact": b"2", "a-3": b"3"}

    def test_a_retry_replaces_what_is_there(self, datalore: Datalore, context: Context, place: Place) -> None:
        made(datalore, "a.csv", "a.csv")
        for _ in range(2):
            operator(place).execute(context)
        assert sorted(place.files()) == ["a-2.csv", "a.csv"]


class TestWhichOnes:
    @pytest.mark.parametrize(
        ("names", "written"),
        [
            ("*.ipynb", ["sales.ipynb"]),
            ("?.csv", ["a.csv", "b.csv"]),
            (["*.png", "sales.*"], ["plot.png", "sales.ipynb"]),
            (["*", "a.csv"], ["a.csv", "b.csv", "plot.png", "sales.ipynb"]),
            ("[ab].csv", ["a.csv", "b.csv"]),
        ],
    )
    def test_those_that_a_glob_matches(
        self, datalore: Datalore, context: Context, local: LocalPlace, names: Any, written: list[str]
    ) -> None:
        made(datalore, *FILES)
        paths = operator(local, names=names).execute(context)
        assert sorted(local.files()) == written
        assert len(paths) == len(written)

    def test_a_choice_changes_no_names(self, datalore: Datalore, context: Context, local: LocalPlace) -> None:
        made(datalore, "a.csv", "A.csv")
        operator(local, names="A.csv").execute(context)
        assert local.files() == {"A-2.csv": b"1"}

    @pytest.mark.parametrize("names", ["*.IPYNB", ["*.csv", "*.IPYNB"]], ids=repr)
    def test_a_glob_that_matches_nothing_fails_and_lists_what_there_is(
        self, datalore: Datalore, context: Context, local: LocalPlace, names: Any
    ) -> None:
        made(datalore, *FILES)
        with pytest.raises(DataloreConfigurationError, match=wrapped(r"run-1.*'\*\.IPYNB'.*'sales\.ipynb', 'a\.csv'")):
            operator(local, names=names).execute(context)
        assert local.files() == {}

    def test_what_there_is_may_be_a_lot(self, datalore: Datalore, context: Context, local: LocalPlace) -> None:
        made(datalore, *(f"{number}.txt" for number in range(1000)))
        with pytest.raises(DataloreConfigurationError, match=wrapped(r"'19\.txt', and 980 more")) as failed:
            operator(local, names="*.csv").execute(context)
        assert len(str(failed.value)) < 1000

    @pytest.mark.parametrize("names", ["", [], [""], [1], {"a"}, 1], ids=repr)
    def test_what_is_no_glob_fails(self, datalore: Datalore, context: Context, local: LocalPlace, names: Any) -> None:
        made(datalore, *FILES)
        with pytest.raises(DataloreConfigurationError, match=wrapped("names is")):
            operator(local, names=names).execute(context)


class TestWhatGoesWrong:
    def test_a_run_that_has_not_ended_fails_and_says_what_to_do(
        self, datalore: Datalore, context: Context, local: LocalPlace
    ) -> None:
        datalore.reports(status="RUNNING")
        with pytest.raises(
            DataloreConfigurationError, match=wrapped(r"run-1 has not ended \('RUNNING'\).*DataloreRunSensor")
        ):
            operator(local).execute(context)

    def test_a_run_that_datalore_does_not_know_fails(
        self, datalore: Datalore, context: Context, local: LocalPlace
    ) -> None:
        datalore.otherwise(status=404)
        with pytest.raises(DataloreNotFoundError):
            operator(local).execute(context)

    def test_an_artifact_over_the_limit_fails(self, datalore: Datalore, context: Context, place: Place) -> None:
        made(datalore, *FILES)
        with pytest.raises(DataloreConfigurationError, match=wrapped(r"a\.csv.*max_bytes")):
            operator(place, max_bytes=2).execute(context)
        assert place.files() == {"sales.ipynb": b"{}"}

    def test_outages_are_lived_through(self, datalore: Datalore, context: Context, place: Place) -> None:
        datalore.answer(status=503)
        datalore.answer(lambda _: None).answer(status=502).truncate(body=b"{}").answer(lambda _: None).drop()
        made(datalore, "sales.ipynb", "a.csv")
        operator(place).execute(context)
        assert place.files() == {"sales.ipynb": b"{}", "a.csv": b"1,2"}
        assert place.leftovers() == []

    def test_but_not_for_longer_than_max_outage(self, datalore: Datalore, context: Context, local: LocalPlace) -> None:
        made(datalore, "sales.ipynb")
        datalore.route("GET", LAST_FOUND, status=502)
        with pytest.raises(DataloreUnavailableError, match="max_outage"):
            operator(local, max_outage=0.1).execute(context)

    def test_a_path_on_another_host_fails_at_once(
        self, datalore: Datalore, context: Context, local: LocalPlace
    ) -> None:
        datalore.finishes(artifacts=[{"name": "a.csv", "path": "https://evil.example/a.csv"}])
        with pytest.raises(Exception, match="not a path on Datalore's own host"):
            operator(local).execute(context)


class TestInADag:
    def test_what_is_templated(self, datalore: Datalore, context: Context, local: LocalPlace) -> None:
        made(datalore, *FILES)
        task = operator(
            local,
            run_id="run-{{ number }}",
            destination=local.destination + "/{{ ds }}",
            names=["*.{{ kind }}"],
            datalore_conn_id="datalore_{{ which }}",
        )
        task.render_template_fields(
            {"number": 1, "ds": "2026-01-31", "kind": "png", "which": "default", "expanded_ti_count": None}
        )
        assert task.execute(context) == [f"{local.destination}/2026-01-31/plot.png"]

    def test_the_link_leads_to_the_notebook(
        self, datalore: Datalore, context: Context, local: LocalPlace, task_instance: TaskInstance
    ) -> None:
        made(datalore, "sales.ipynb")
        operator(local).execute(context)
        assert task_instance.xcoms["notebook_url"] == f"{datalore.url}/notebook/ann/sales"

    @pytest.mark.parametrize("notebook_id", [None, "", "not an id"])
    def test_no_link_is_no_failure(
        self,
        datalore: Datalore,
        context: Context,
        local: LocalPlace,
        task_instance: TaskInstance,
        notebook_id: str | None,
    ) -> None:
        datalore.finishes(notebookId=notebook_id, artifacts=[])
        operator(local).execute(context)
        assert task_instance.xcoms["notebook_url"] == ""
