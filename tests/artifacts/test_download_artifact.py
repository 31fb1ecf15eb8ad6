"""What ``DataloreHook.download_artifact`` does with what a server sends."""

from __future__ import annotations

import gzip
import json
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.lineage import hook as lineage
from airflow.providers.common.compat.sdk import ObjectStoragePath

try:
    from airflow.sdk.lineage import HookLineageCollector
except ImportError:
    from airflow.lineage.hook import HookLineageCollector

from airflow_provider_datalore.api.models import Artifact
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreNotFoundError,
    DataloreStorageError,
    DataloreUnauthorizedError,
    DataloreUnavailableError,
    DataloreUnexpectedResponseError,
)
from airflow_provider_datalore.hooks.datalore import DataloreHook
from airflow_provider_datalore.storage import BLOCK_BYTES
from tests.artifacts.conftest import LocalPlace, Place, S3Place, artifact
from tests.lines import wrapped
from tests.scripted_server import Reply
from tests.tasks.conftest import TOKEN, Datalore, Logged

LONG = bytes(range(256)) * (BLOCK_BYTES // 100)
"""More than is sent to a storage at once."""


class TestWhatIsWritten:
    @pytest.mark.parametrize("body", [b"", b"{}", LONG], ids=len)
    def test_it_is_the_whole_body_and_nothing_else(
        self, datalore: Datalore, hook: DataloreHook, place: Place, body: bytes
    ) -> None:
        datalore.answer(body=body)
        path = hook.download_artifact(artifact(), place.destination)
        assert str(path) == str(ObjectStoragePath(place.destination) / "sales.ipynb")
        assert place.files() == {"sales.ipynb": body}
        assert place.leftovers() == []
        assert [request.authorizations for request in datalore.requests] == [[f"Bearer {TOKEN}"]]

    def test_the_path_opens_what_was_written(self, datalore: Datalore, hook: DataloreHook, place: Place) -> None:
        datalore.answer(body=b"{}")
        path = hook.download_artifact(artifact(), place.destination)
        assert ObjectStoragePath(str(path)).read_bytes() == b"{}"

    def test_doing_it_again_replaces_it(self, datalore: Datalore, hook: DataloreHook, place: Place) -> None:
        datalore.answer(body=b"a long first one").answer(body=b"second")
        for _ in range(2):
            hook.download_artifact(artifact(), place.destination)
        assert place.files() == {"sales.ipynb": b"second"}

    def test_the_destination_may_be_a_path_of_airflows(
        self, datalore: Datalore, hook: DataloreHook, place: Place
    ) -> None:
        datalore.answer(body=b"{}")
        hook.download_artifact(artifact(), ObjectStoragePath(place.destination))
        assert place.files() == {"sales.ipynb": b"{}"}

    def test_a_body_that_was_packed_for_the_way_is_unpacked(
        self, datalore: Datalore, hook: DataloreHook, local: LocalPlace
    ) -> None:
        datalore.answer(body=gzip.compress(LONG), headers={"Content-Encoding": "gzip"})
        hook.download_artifact(artifact(), local.destination)
        assert local.files() == {"sales.ipynb": LONG}

    def test_it_warns_of_nothing(self, datalore: Datalore, hook: DataloreHook, local: LocalPlace) -> None:
        datalore.answer(body=b"{}")
        # Outside of a task, Airflow 3.0 and 3.1 warn of how they read a connection themselves.
        assert hook.connection
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            hook.download_artifact(artifact(), local.destination)


class TestNames:
    @pytest.mark.parametrize(
        ("given", "name"),
        [
            ("../../outside.txt", "outside.txt"),
            ("/etc/cron.d/job", "job"),
            ("..", "artifact"),
            (r"..\..\win.ini", "win.ini"),
            ("a\0.txt", "a.txt"),
            ("NUL", "_NUL"),
            ("x" * 300 + ".csv", "x" * 251 + ".csv"),
            ("s3://bucket/a.txt", "a.txt"),
        ],
    )
    def test_whatever_the_server_says_it_stays_in_its_folder(
        self, datalore: Datalore, hook: DataloreHook, place: Place, given: str, name: str
    ) -> None:
        datalore.answer(body=b"{}")
        hook.download_artifact(artifact(given), place.destination)
        assert place.files() == {name: b"{}"}

    def test_another_name_can_be_given_and_is_made_safe_too(
        self, datalore: Datalore, hook: DataloreHook, local: LocalPlace
    ) -> None:
        datalore.answer(body=b"{}")
        hook.download_artifact(artifact(), local.destination, name="../mine.ipynb")
        assert local.files() == {"mine.ipynb": b"{}"}


class TestWhatGoesWrong:
    @pytest.mark.parametrize("cut", [1, 1000])
    @pytest.mark.parametrize("body", [b"{" * 2000, LONG], ids=len)
    def test_a_body_shorter_than_promised_leaves_nothing(
        self, datalore: Datalore, hook: DataloreHook, place: Place, body: bytes, cut: int
    ) -> None:
        datalore.truncate(body=body, cut=cut)
        with pytest.raises(DataloreUnavailableError, match=wrapped(r"sales\.ipynb.*no complete response")):
            hook.download_artifact(artifact(), place.destination)
        assert place.files() == {}
        assert place.leftovers() == []
        assert len(datalore.requests) == 1

    def test_chunks_that_end_too_early_leave_nothing(
        self, datalore: Datalore, hook: DataloreHook, local: LocalPlace
    ) -> None:
        datalore.answer(Reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhe"))
        with pytest.raises(DataloreUnavailableError):
            hook.download_artifact(artifact(), local.destination)
        assert local.files() == {}
        assert local.leftovers() == []

    def test_a_server_that_stops_in_the_middle_leaves_nothing(
        self, datalore: Datalore, hook: DataloreHook, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection = {"conn_type": "datalore", "host": datalore.url, "password": TOKEN, "extra": {"timeout": 0.3}}
        monkeypatch.setenv("AIRFLOW_CONN_DATALORE_DEFAULT", json.dumps(connection))
        datalore.trickle(body=b"slow" * 100, every=5)
        with pytest.raises(DataloreUnavailableError):
            hook.download_artifact(artifact(), place.destination)
        assert place.files() == {}
        assert place.leftovers() == []

    def test_what_datalore_does_not_have_leaves_not_even_a_folder(
        self, datalore: Datalore, hook: DataloreHook, local: LocalPlace
    ) -> None:
        datalore.answer(status=404)
        with pytest.raises(DataloreNotFoundError, match=wrapped("removed the artifacts")):
            hook.download_artifact(artifact(), local.destination)
        assert not Path(local.destination).exists()

    def test_a_redirect_is_not_followed(self, datalore: Datalore, hook: DataloreHook, local: LocalPlace) -> None:
        datalore.redirect("http://127.0.0.1:1/")
        with pytest.raises(DataloreUnexpectedResponseError):
            hook.download_artifact(artifact(), local.destination)
        assert local.files() == {}

    @pytest.mark.parametrize("path", ["https://evil.example/a", "//evil.example/a", "/a/../../b"])
    def test_a_path_that_is_not_datalores_is_not_asked_for(
        self, datalore: Datalore, hook: DataloreHook, local: LocalPlace, path: str
    ) -> None:
        with pytest.raises(DataloreUnexpectedResponseError):
            hook.download_artifact(Artifact(name="a.txt", path=path), local.destination, max_outage=60)
        assert datalore.requests == []

    def test_a_destination_that_cannot_be_used_is_an_error_before_anything_is_asked_for(
        self, datalore: Datalore, hook: DataloreHook
    ) -> None:
        with pytest.raises(DataloreConfigurationError, match="s4://bucket"):
            hook.download_artifact(artifact(), "s4://bucket")
        assert datalore.requests == []

    def test_a_destination_that_cannot_be_written_names_artifact_place_and_remedy(
        self, datalore: Datalore, hook: DataloreHook, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        datalore.answer(body=b"{}", times=5)
        with pytest.raises(
            DataloreStorageError, match=wrapped(r"artifact 'sales\.ipynb' to .*/file/sales\.ipynb.*Check")
        ):
            hook.download_artifact(artifact(), f"{tmp_path}/file", max_outage=60)
        assert len(datalore.requests) == 1

    def test_more_than_max_bytes_leaves_nothing(self, datalore: Datalore, hook: DataloreHook, place: Place) -> None:
        datalore.answer(body=LONG, times=2)
        with pytest.raises(DataloreConfigurationError, match=wrapped(r"sales\.ipynb.*max_bytes")):
            hook.download_artifact(artifact(), place.destination, max_bytes=len(LONG) - 1)
        assert place.files() == {}
        assert place.leftovers() == []
        hook.download_artifact(artifact(), place.destination, max_bytes=len(LONG))
        assert len(place.files()) == 1

    @pytest.mark.parametrize("limit", [0, -1, True, 1.5, "10"], ids=repr)
    def test_a_limit_that_is_none_is_an_error(
        self, datalore: Datalore, hook: DataloreHook, local: LocalPlace, limit: Any
    ) -> None:
        with pytest.raises(DataloreConfigurationError, match=wrapped("max_bytes is")):
            hook.download_artifact(artifact(), local.destination, max_bytes=limit)
        assert datalore.requests == []

    def test_a_name_of_a_megabyte_makes_no_message_of_a_megabyte(
        self, datalore: Datalore, hook: DataloreHook, local: LocalPlace, logged: Logged
    ) -> None:
        datalore.answer(body=b"{}").answer(body=b"{}")
        with pytest.raises(DataloreConfigurationError) as failed:
            hook.download_artifact(artifact("x" * 1_000_000), local.destination, max_bytes=1)
        assert len(str(failed.value)) < 1000
        hook.download_artifact(artifact("x" * 1_000_000), local.destination)
        assert len(logged()) < 5000


class TestOutages:
    def test_by_default_it_tries_once(self, datalore: Datalore, hook: DataloreHook, local: LocalPlace) -> None:
        datalore.answer(status=503).answer(body=b"{}")
        with pytest.raises(DataloreUnavailableError):
            hook.download_artifact(artifact(), local.destination)
        assert len(datalore.requests) == 1

    def test_with_max_outage_it_tries_the_whole_artifact_again(
        self, datalore: Datalore, hook: DataloreHook, place: Place
    ) -> None:
        datalore.answer(status=502).drop().truncate(body=LONG, cut=5).answer(body=LONG)
        hook.download_artifact(artifact(), place.destination, max_outage=60)
        assert place.files() == {"sales.ipynb": LONG}
        assert place.leftovers() == []

    def test_it_gives_up_when_the_outage_lasts_too_long(
        self, datalore: Datalore, hook: DataloreHook, local: LocalPlace
    ) -> None:
        datalore.otherwise(status=502)
        began = time.monotonic()
        with pytest.raises(DataloreUnavailableError, match="max_outage"):
            hook.download_artifact(artifact(), local.destination, max_outage=0.2)
        assert time.monotonic() - began < 30
        assert local.files() == {}

    def test_a_token_that_was_changed_is_read_anew(
        self, datalore: Datalore, hook: DataloreHook, local: LocalPlace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_: object) -> Reply:
            connection = {"conn_type": "datalore", "host": datalore.url, "password": "dl-token-new"}
            monkeypatch.setenv("AIRFLOW_CONN_DATALORE_DEFAULT", json.dumps(connection))
            return Reply(status=401)

        datalore.answer(refuse).answer(body=b"{}").answer(status=401, times=2)
        hook.download_artifact(artifact(), local.destination)
        assert datalore.requests[1].authorizations == ["Bearer dl-token-new"]
        with pytest.raises(DataloreUnauthorizedError):
            hook.download_artifact(artifact(), local.destination, max_outage=60)


class TestLineage:
    @pytest.fixture
    def collector(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[HookLineageCollector]:
        """Airflow's own, as it is when a lineage backend is installed."""
        import airflow.providers.common.compat.sdk as compat

        collecting = HookLineageCollector()
        monkeypatch.setattr(compat, "get_hook_lineage_collector", lambda: collecting, raising=False)
        return collecting

    def test_what_was_written_is_an_output(
        self, datalore: Datalore, hook: DataloreHook, local: LocalPlace, collector: HookLineageCollector
    ) -> None:
        datalore.answer(body=b"{}")
        hook.download_artifact(artifact("a b.ipynb"), local.destination)
        [output] = lineage.get_hook_lineage_collector().collected_assets.outputs
        assert output.asset.uri == f"file://{local.destination}/a%20b.ipynb"
        assert output.context is hook

    def test_an_object_is_named_without_the_connection(
        self, datalore: Datalore, hook: DataloreHook, s3: Any, collector: HookLineageCollector
    ) -> None:
        place = S3Place(s3)
        datalore.answer(body=b"{}")
        hook.download_artifact(artifact(), place.destination)
        [output] = lineage.get_hook_lineage_collector().collected_assets.outputs
        assert output.asset.uri == f"s3://{place.bucket}/run/1/sales.ipynb"

    def test_a_download_that_failed_is_none(
        self, datalore: Datalore, hook: DataloreHook, local: LocalPlace, collector: HookLineageCollector
    ) -> None:
        datalore.truncate(body=b"{}")
        with pytest.raises(DataloreUnavailableError):
            hook.download_artifact(artifact(), local.destination)
        assert not lineage.get_hook_lineage_collector().collected_assets.outputs

    def test_lineage_that_is_out_of_order_fails_nothing(
        self,
        datalore: Datalore,
        hook: DataloreHook,
        local: LocalPlace,
        monkeypatch: pytest.MonkeyPatch,
        logged: Logged,
    ) -> None:
        def fail() -> None:
            raise RuntimeError("out of order")

        monkeypatch.setattr(lineage, "get_hook_lineage_collector", fail)
        datalore.answer(body=b"{}")
        hook.download_artifact(artifact(), local.destination)
        assert local.files() == {"sales.ipynb": b"{}"}
        assert "out of order" in logged()
