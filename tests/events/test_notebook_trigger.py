"""What DataloreNotebookTrigger sends, and what it remembers from one triggerer to the next."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__ as AIRFLOW  # noqa: N812

from airflow_provider_datalore import settings
from airflow_provider_datalore.exceptions import DataloreConfigurationError, DataloreError
from airflow_provider_datalore.triggers import memory, notebook, polling, watcher
from airflow_provider_datalore.triggers.datalore import DataloreNotebookTrigger
from tests.events.conftest import PATIENCE, AssetStateStores, Reports, Watching, triggerer
from tests.scripted_server import reply
from tests.tasks.conftest import TOKEN, Datalore, Logged

pytestmark = pytest.mark.skipif(AIRFLOW.startswith("2."), reason="Airflow 2 has no event triggers, see test_airflow_2")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes long elsewhere is quick here."""
    monkeypatch.setattr(watcher, "CLAIM_TIME", 0.5)
    monkeypatch.setattr(polling, "REFUSED_INTERVAL", 0.05)


def sent_once(payload: dict[str, Any], url: str, at: str = "2026-02-02T12:01:00+00:00") -> None:
    assert payload == {
        "event": "report_published",
        "notebook_id": "ann/sales",
        "at": at,
        "url": f"{url}/notebook/ann/sales",
        "report_id": "r1",
    }


async def test_a_published_report_sends_one_event(
    reports: Reports, watching: Watching, stores: AssetStateStores
) -> None:
    async with triggerer(watching(), stores) as running:
        await reports.wait_for_looks(3)
        assert running.sent.empty()
        reports.publish()
        sent_once(await running.next(), reports.server.url)
        await reports.wait_for_looks(3)
        assert running.sent.empty()
        reports.publish()
        sent_once(await running.next(), reports.server.url, "2026-02-02T12:02:00+00:00")


async def test_a_change_while_no_triggerer_runs_is_sent_by_the_next(
    reports: Reports, watching: Watching, stores: AssetStateStores
) -> None:
    async with triggerer(watching(), stores):
        await reports.wait_for_looks()
    reports.publish()
    async with triggerer(watching(), stores) as second:
        sent_once(await second.next(), reports.server.url)
        await reports.wait_for_looks(3)
    async with triggerer(watching(), stores) as third:
        await reports.wait_for_looks(3)
        assert second.sent.empty()
        assert third.sent.empty()


async def test_two_triggerers_send_one_event(reports: Reports, watching: Watching, stores: AssetStateStores) -> None:
    async with triggerer(watching(), stores) as one, triggerer(watching(), stores) as other:
        for number in range(1, 6):
            await reports.wait_for_looks(4)
            reports.publish()
            await reports.wait_for_looks(8)
            while one.sent.qsize() + other.sent.qsize() < number:
                await asyncio.sleep(0.01)
        await reports.wait_for_looks(10)
        assert one.sent.qsize() + other.sent.qsize() == 5


async def test_a_triggerer_that_is_killed_before_airflow_has_the_event_loses_nothing(
    reports: Reports, watching: Watching, stores: AssetStateStores, logged: Logged
) -> None:
    async with triggerer(watching(), stores) as first:
        await reports.wait_for_looks()
        reports.publish()
        lost = await first.next()
        # Before it records that Airflow has stored the event.
        first.kill()
    assert stores.writes[-1]["sending"] == [lost]
    async with triggerer(watching(), stores) as second:
        assert await second.next() == lost
        await reports.wait_for_looks(3)
        assert second.sent.empty()
    assert "possibly for the second time" in logged()
    assert stores.writes[-1]["sending"] == []


async def test_an_event_that_is_not_wanted_is_not_sent_after_a_restart(
    datalore: Datalore, watching: Watching, stores: AssetStateStores
) -> None:
    cells = [{"cellId": "c", "cellType": "CODE", "source": "1", "executionStatus": "VALID", "executionCount": 1}]
    datalore.route("POST", "/api/notebook/v1/kernel/status", json={"state": "READY"})
    datalore.route("POST", "/api/notebook/v1/cells", json={"cellsWithOutputs": cells})
    async with triggerer(watching("run_ended", outcome="failed"), stores) as first:
        await wait_for_requests(datalore, 4)
        cells[0] |= {"executionCount": 2}
        datalore.route("POST", "/api/notebook/v1/cells", json={"cellsWithOutputs": cells})
        await wait_for_requests(datalore, 4)
        assert first.sent.empty()
        cells[0] |= {"executionStatus": "ERROR", "executionCount": 3}
        datalore.route("POST", "/api/notebook/v1/cells", json={"cellsWithOutputs": cells})
        assert (await first.next())["success"] is False
        await wait_for_requests(datalore, 4)
    async with triggerer(watching("run_ended", outcome="failed"), stores) as second:
        await wait_for_requests(datalore, 4)
        assert second.sent.empty()


async def wait_for_requests(server: Datalore, count: int) -> None:
    wanted = len(server.requests) + count
    while len(server.requests) < wanted:
        await asyncio.sleep(0.01)


async def test_a_file_event_names_the_file(datalore: Datalore, watching: Watching, stores: AssetStateStores) -> None:
    def files(modified: int) -> Any:
        return {"files": [{"name": "out.csv", "type": "FILE", "fileSize": 3, "lastModified": modified}]}

    datalore.route("POST", "/api/notebook/v1/files", json=files(1000))
    async with triggerer(watching("file_changed", file="out.csv"), stores) as running:
        await wait_for_requests(datalore, 3)
        datalore.route("POST", "/api/notebook/v1/files", json=files(2000))
        assert await running.next() == {
            "event": "file_changed",
            "notebook_id": "ann/sales",
            "at": "1970-01-01T00:00:02+00:00",
            "url": f"{datalore.url}/notebook/ann/sales",
            "file": "out.csv",
        }
    assert datalore.asked("POST", "/api/notebook/v1/files")[0].json["directory"] == "data/notebook_files"


async def test_an_edit_is_dated_by_the_server(datalore: Datalore, watching: Watching, stores: AssetStateStores) -> None:
    date = {"Date": "Mon, 02 Feb 1998 12:00:00 GMT"}
    datalore.route("POST", "/api/notebook/v1/cells", json={"cells": [{"source": "a"}]}, headers=date)
    async with triggerer(watching("notebook_edited"), stores) as running:
        await wait_for_requests(datalore, 3)
        datalore.route("POST", "/api/notebook/v1/cells", json={"cells": [{"source": "b"}]}, headers=date)
        assert await running.next() == {
            "event": "notebook_edited",
            "notebook_id": "ann/sales",
            "at": "1998-02-02T12:00:00+00:00",
            "url": f"{datalore.url}/notebook/ann/sales",
        }


async def test_an_outage_loses_nothing(
    reports: Reports, watching: Watching, stores: AssetStateStores, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    monkeypatch.setattr(settings, "MAX_OUTAGE", 0.05)
    async with triggerer(watching(), stores) as running:
        await reports.wait_for_looks()
        answers = reports._list
        failures = 0

        def fail(request: Any) -> Any:
            nonlocal failures
            failures += 1
            return reply(status=503)

        reports.server.route("GET", "/api/workspaces/v1/reports", respond=fail)
        while failures < 6:
            await asyncio.sleep(0.01)
        reports.publish()
        reports.server.route("GET", "/api/workspaces/v1/reports", respond=answers)
        sent_once(await running.next(), reports.server.url)
    assert "they keep polling" in logged()


async def test_a_refusal_is_logged_once_and_ends_when_access_is_given(
    reports: Reports, watching: Watching, stores: AssetStateStores, logged: Logged
) -> None:
    scope = {"WWW-Authenticate": 'Bearer scope="WORKSPACE", access="READ"'}
    reports.server.route("GET", "/api/workspaces/v1/", status=403, headers=scope)
    async with triggerer(watching(), stores) as running:
        await wait_for_requests(reports.server, 12)
        text = logged()
        assert text.count("The watchers (report_published) see no change") == 1
        assert "scope WORKSPACE" in text
        Reports.__init__(reports, reports.server)
        await reports.wait_for_looks(3)
        reports.publish()
        sent_once(await running.next(), reports.server.url)


async def test_the_token_is_renewed(
    reports: Reports, watching: Watching, stores: AssetStateStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = "another-token-0123456789"
    connection = {"conn_type": "datalore", "host": reports.server.url, "password": fresh}
    answers = reports._list

    def checked(request: Any) -> Any:
        return answers(request) if request.headers["Authorization"] == f"Bearer {fresh}" else reply(status=401)

    async with triggerer(watching(), stores) as running:
        await reports.wait_for_looks()
        monkeypatch.setenv("AIRFLOW_CONN_DATALORE_DEFAULT", json.dumps(connection))
        reports.server.route("GET", "/api/workspaces/v1/reports", respond=checked)
        reports.publish()
        sent_once(await running.next(), reports.server.url)


async def test_watchers_of_a_connection_share_their_looks(
    reports: Reports, watching: Watching, stores: AssetStateStores
) -> None:
    async with (
        triggerer(watching(poll_interval=5), stores) as one,
        triggerer(watching(poll_interval=0.3), AssetStateStores()) as other,
    ):
        await reports.wait_for_looks(3)
        reports.publish()
        assert await one.next() == await other.next()
        assert len(polling.Poller.of("datalore_default")._polled) == 1
        assert len({request.connection for request in reports.server.requests}) == 1


async def test_a_watcher_that_joins_has_its_baseline_at_once(
    reports: Reports, watching: Watching, stores: AssetStateStores
) -> None:
    later = AssetStateStores()
    async with triggerer(watching(poll_interval=60), stores):
        await reports.wait_for_looks(1)
        while not stores.writes:
            await asyncio.sleep(0.01)
        async with triggerer(watching(poll_interval=60), later):
            async with asyncio.timeout(10):
                while not later.writes:
                    await asyncio.sleep(0.01)


async def test_a_store_that_fails_for_a_while_is_retried(
    reports: Reports, watching: Watching, stores: AssetStateStores, logged: Logged
) -> None:
    stores.failures = 1
    async with triggerer(watching(), stores) as running:
        await reports.wait_for_looks()
        while not stores.writes:
            await asyncio.sleep(0.01)
        reports.publish()
        sent_once(await running.next(), reports.server.url)
    assert "Retrying in 1 s" in logged()


async def test_a_store_that_stays_out_of_order_costs_the_memory_and_not_the_event(
    reports: Reports,
    watching: Watching,
    stores: AssetStateStores,
    monkeypatch: pytest.MonkeyPatch,
    logged: Logged,
) -> None:
    monkeypatch.setattr(watcher, "LOAD_PATIENCE", 0.0)
    monkeypatch.setattr(watcher, "SAVE_PATIENCE", 0.0)
    stores.failures = 1_000_000
    async with triggerer(watching(), stores) as running:
        await reports.wait_for_looks(4)
        reports.publish()
        sent_once(await running.next(), reports.server.url)
    assert "cannot be used" in logged()


async def test_a_stored_state_of_another_version_is_a_new_baseline(
    reports: Reports, watching: Watching, stores: AssetStateStores
) -> None:
    async with triggerer(watching(), stores):
        await reports.wait_for_looks(3)
    (key,) = stores.stored
    for odd in ({"version": 9}, {"state": 3}, {"state": {}, "sending": "x"}):
        stores.stored[key] = json.dumps(odd)
        async with triggerer(watching(), stores) as running:
            await reports.wait_for_looks(3)
            assert running.sent.qsize() <= 1


async def test_the_token_is_stored_nowhere(
    reports: Reports, watching: Watching, stores: AssetStateStores, logged: Logged
) -> None:
    async with triggerer(watching(), stores) as running:
        await reports.wait_for_looks(3)
        reports.publish()
        payload = await running.next()
    assert TOKEN not in logged() + json.dumps([stores.stored, payload, running.trigger.serialize()]) + repr(
        running.trigger
    )


async def test_watchers_that_are_moved_all_the_time_cost_no_more_requests(
    reports: Reports, watching: Watching, stores: AssetStateStores
) -> None:
    for _ in range(5):
        async with triggerer(watching(poll_interval=60), stores, survives=True):
            async with asyncio.timeout(PATIENCE):
                while not stores.writes:
                    await asyncio.sleep(0.01)
    assert reports.looks == 1


async def test_nothing_is_looked_at_for_long_without_a_watcher(
    reports: Reports, watching: Watching, stores: AssetStateStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "LEAVE_DELAY", 0.1)
    async with triggerer(watching(), stores), triggerer(watching(), stores):
        await reports.wait_for_looks()
    async with asyncio.timeout(PATIENCE):
        while polling.Poller.of("datalore_default")._polled:
            await asyncio.sleep(0.01)


class TestBeforeAirflow33:
    """Where Airflow gives the trigger no store."""

    async def test_without_a_store_nothing_is_sent_for_what_no_triggerer_saw(
        self, reports: Reports, watching: Watching, logged: Logged
    ) -> None:
        async with triggerer(watching(), None):
            await reports.wait_for_looks()
        reports.publish()
        async with triggerer(watching(), None) as second:
            await reports.wait_for_looks(3)
            assert second.sent.empty()
            reports.publish()
            sent_once(await second.next(), reports.server.url, "2026-02-02T12:02:00+00:00")
        assert "AIRFLOW__DATALORE__RUN_STORE" in logged()

    async def test_a_trigger_that_is_cancelled_and_started_again_keeps_the_memory_of_its_triggerer(
        self, reports: Reports, watching: Watching
    ) -> None:
        async with triggerer(watching(), None, survives=True):
            await reports.wait_for_looks()
        reports.publish()
        async with triggerer(watching(), None) as again:
            sent_once(await again.next(), reports.server.url)
            await reports.wait_for_looks(3)
            assert again.sent.empty()

    async def test_a_folder_remembers(self, reports: Reports, watching: Watching, run_store: Path) -> None:
        async with triggerer(watching(), None):
            await reports.wait_for_looks()
            await stored(run_store)
        reports.publish()
        async with triggerer(watching(), None) as second:
            sent_once(await second.next(), reports.server.url)
            await stored(run_store)
            await reports.wait_for_looks(4)
        async with triggerer(watching(), None) as third:
            await reports.wait_for_looks(3)
            assert third.sent.empty()

    @pytest.mark.parametrize("remembers", [True, False])
    async def test_watchers_of_two_assets_each_send_the_event(
        self, reports: Reports, watching: Watching, run_store: Path, monkeypatch: pytest.MonkeyPatch, remembers: bool
    ) -> None:
        if not remembers:
            monkeypatch.delenv("AIRFLOW__DATALORE__RUN_STORE")
        # Airflow runs a trigger for each of them, even with the same arguments.
        triggers = [watching(), watching(), watching(poll_interval=0.03)]
        for number, trigger in enumerate(triggers):
            trigger.trigger_id = number
        async with (
            triggerer(triggers[0], None) as one,
            triggerer(triggers[1], None) as another,
            triggerer(triggers[2], None) as slower,
        ):
            for number in range(1, 4):
                await reports.wait_for_looks(4)
                reports.publish()
                for each in (one, another, slower):
                    sent_once(await each.next(), reports.server.url, f"2026-02-02T12:0{number}:00+00:00")
            await reports.wait_for_looks(4)
            assert [each.sent.qsize() for each in (one, another, slower)] == [0, 0, 0]

    async def test_a_paused_dag_whose_trigger_gets_another_id_sends_what_changed(
        self, reports: Reports, watching: Watching, run_store: Path
    ) -> None:
        before, after = watching(), watching()
        before.trigger_id, after.trigger_id = 1, 2
        async with triggerer(before, None, survives=True):
            await reports.wait_for_looks()
            await stored(run_store)
        reports.publish()
        reports.publish()
        async with triggerer(after, None) as unpaused:
            sent_once(await unpaused.next(), reports.server.url, "2026-02-02T12:02:00+00:00")
            await reports.wait_for_looks(3)
            assert unpaused.sent.empty()

    async def test_an_event_of_a_trigger_that_was_moved_to_another_triggerer_is_recorded_as_sent(
        self, reports: Reports, watching: Watching, run_store: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(watcher, "CLAIM_TIME", PATIENCE)
        monkeypatch.setattr(notebook, "STORING_TIME", 0.5)
        async with triggerer(watching(), None, survives=True) as first:
            await reports.wait_for_looks()
            await stored(run_store)
            reports.publish()
            sent_once(await first.next(), reports.server.url)
        async with triggerer(watching(), None) as second:
            await stored(run_store)
            reports.publish()
            sent_once(await second.next(), reports.server.url, "2026-02-02T12:02:00+00:00")

    async def test_watchers_that_live_for_a_moment_only_send_what_a_killed_triggerer_did_not(
        self, reports: Reports, watching: Watching, run_store: Path
    ) -> None:
        """Airflow 3.0 and 3.1 move watchers between two triggerers every second."""
        async with triggerer(watching(), None) as first:
            await reports.wait_for_looks()
            await stored(run_store)
            reports.publish()
            lost = await first.next()
            first.kill()
        again: list[dict[str, Any]] = []
        async with asyncio.timeout(PATIENCE):
            while not again:
                async with triggerer(watching(), None, survives=True) as moved:
                    await reports.wait_for_looks(1)
                    await asyncio.sleep(watcher.CLAIM_TIME / 5)
                    again += [moved.sent.get_nowait()] if not moved.sent.empty() else []
        assert again == [lost]

    async def test_a_triggerer_that_hung_does_not_overwrite_what_another_one_has_stored(
        self, reports: Reports, watching: Watching, run_store: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(notebook, "STORING_TIME", 1.5)
        async with triggerer(watching(), None) as hung:
            await reports.wait_for_looks()
            await stored(run_store)
            reports.publish()
            event = await hung.next()
            monkeypatch.setattr(notebook, "STORING_TIME", 0.01)
            async with triggerer(watching(), None) as other:
                assert await other.next() == event
                await stored(run_store)
                reports.publish()
                sent_once(await other.next(), reports.server.url, "2026-02-02T12:02:00+00:00")
                await stored(run_store)
                while notebook._recordings:
                    await asyncio.sleep(0.01)
                await reports.wait_for_looks(3)
                assert (hung.sent.qsize(), other.sent.qsize()) == (0, 0)


@pytest.fixture
def run_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which Airflow before 3.3 keeps what watchers saw."""
    monkeypatch.setenv("AIRFLOW__DATALORE__RUN_STORE", tmp_path.as_uri())
    return tmp_path


async def stored(folder: Path) -> None:
    """Wait until something is stored, and no event of it may still have to be sent."""
    async with asyncio.timeout(PATIENCE):
        while not (documents := documents_in(folder)) or any(each["sending"] for each in documents):
            await asyncio.sleep(0.01)


def documents_in(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in folder.glob("datalore_watcher_*.json")]


class Variables:
    """Airflow's Variables, as the triggerer of Airflow 3 stores them."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.fails = False

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def set(self, key: str, value: str, description: str) -> None:
        if not self.fails:
            self.values[key] = value


async def test_a_variable_that_airflow_silently_did_not_store_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = Variables()
    monkeypatch.setattr(memory, "Variable", variables)
    monkeypatch.setenv("AIRFLOW__DATALORE__RUN_STORE", "variables")
    watched = memory.open_memory(None, ("a",), {"notebook_id": "ann/sales"}, 1)
    await watched.save({"state": {"a": 1}})
    await watched.save({"state": {"a": 1}})
    variables.fails = True
    await watched.save({"state": {"a": 1}})
    with pytest.raises(DataloreError, match="did not store Variable datalore_watcher_"):
        await watched.save({"state": {"a": 2}})
    assert await watched.load() == {"state": {"a": 1}}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"notebook_id": "sales"}, "not the id of a notebook"),
        ({"notebook_id": None}, "notebook_id is None"),
        ({"datalore_conn_id": ""}, "datalore_conn_id"),
        ({"datalore_conn_id": None}, "datalore_conn_id"),
        ({"event": "published"}, "report_published"),
        ({"event": "run_ended", "outcome": "ok"}, "succeeded"),
        ({"outcome": "failed"}, "only event 'run_ended'"),
        ({"event": "file_changed"}, "path of a file"),
        ({"event": "file_changed", "file": "../a.csv"}, "path of a file"),
        ({"event": "file_changed", "file": "a\nb.csv"}, "path of a file"),
        ({"event": "file_changed", "file": "data/"}, "path of a file"),
        ({"file": "a.csv"}, "only with event"),
        ({"poll_interval": 0}, "poll_interval"),
        ({"poll_interval": "5"}, "poll_interval"),
        ({"poll_interval": True}, "poll_interval"),
    ],
)
def test_a_wrong_argument_fails_when_the_dag_is_read(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataloreConfigurationError, match=problem) as error:
        DataloreNotebookTrigger(**{"notebook_id": "ann/sales", **arguments})
    # Any other exception in a constructor would end Airflow's triggerer.
    assert isinstance(error.value, TypeError)


def test_its_arguments_are_json_scalars_and_whole_after_a_round_trip() -> None:
    trigger = DataloreNotebookTrigger(
        "https://d.example.com/notebook/ann/sales", "file_changed", file="a.csv", poll_interval=timedelta(minutes=1)
    )
    path, arguments = trigger.serialize()
    assert path == "airflow_provider_datalore.triggers.datalore.DataloreNotebookTrigger"
    again = DataloreNotebookTrigger(**json.loads(json.dumps(arguments)))
    assert again.serialize() == trigger.serialize()
    assert arguments["poll_interval"] == 60


def test_an_argument_of_a_later_version_is_accepted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert DataloreNotebookTrigger("ann/sales", later="x").event == "report_published"


def test_an_asset_watcher_takes_it() -> None:
    from airflow.sdk import Asset, AssetWatcher

    trigger = DataloreNotebookTrigger("ann/sales")
    asset = Asset("sales", watchers=[AssetWatcher("published", trigger=trigger)])
    assert asset.watchers[0].trigger is trigger
