"""``DELETE /emulator/runs/<id>`` and its button stop a run; runs that nobody polls do not keep others waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_datalore.emulator.slots import Slots
from airflow_provider_datalore.emulator.testing import EmulatorProcess
from dev.browser import Browser, find_browser
from tests.emulator.emulator_client import Client, gate, gate_pid, printed, wait_until, write_notebook
from tests.emulator.notebook_client import Notebook


@pytest.fixture
def own(tmp_path: Path) -> Iterator[EmulatorProcess]:
    """An emulator with one slot, for one test."""
    write_notebook(tmp_path / "notebooks", "quick", "print('done')")
    write_notebook(tmp_path / "notebooks", "slow", "print('before')", gate(tmp_path / "go"), "print('after')")
    with EmulatorProcess(tmp_path / "notebooks", "--max-parallel-runs", "1") as process:
        yield process


@pytest.fixture
def client(own: EmulatorProcess) -> Client:
    return Client(own)


@pytest.fixture
def running(client: Client, tmp_path: Path) -> tuple[str, int]:
    """A run whose second cell executes, and the process of its kernel."""
    run_id = client.start("me/slow")
    return run_id, gate_pid(tmp_path / "go")


def delete(process: EmulatorProcess, run_id: str, **options: Any) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.delete(f"{process.url}/emulator/runs/{run_id}", timeout=60, **options)


def test_a_running_run_ends_as_failed_and_its_kernel_ends(
    own: EmulatorProcess, client: Client, running: tuple[str, int]
) -> None:
    run_id, kernel = running
    assert delete(own, run_id).status_code == 204
    assert not Path(f"/proc/{kernel}").exists()
    run = client.poll(run_id)
    assert (run["success"], "status" in run) == (False, False)
    assert run["endTime"] >= run["startTime"]
    [listed] = own.runs()
    assert (listed["state"], listed["failure"]) == ("failed", "The run was stopped")


def test_its_executed_copy_shows_how_far_it_came(
    own: EmulatorProcess, client: Client, running: tuple[str, int]
) -> None:
    own.stop_run(running[0])
    executed = client.executed(client.poll(running[0]))
    assert printed(executed) == "before\n"
    first, stopped, last = executed.cells
    [error] = stopped.outputs
    assert (error.ename, error.evalue) == ("RunStoppedError", "The run was stopped while this cell executed")
    assert (first.execution_count, last.execution_count, last.outputs) == (1, None, [])


def test_its_slot_is_free_for_the_next_run(own: EmulatorProcess, client: Client, running: tuple[str, int]) -> None:
    queued = client.start("me/quick")
    own.stop_run(running[0])
    assert client.wait(queued)["success"] is True


def test_a_queued_run_ends_as_failed_and_never_starts(
    own: EmulatorProcess, client: Client, running: tuple[str, int], tmp_path: Path
) -> None:
    queued = client.start("me/quick")
    assert client.poll(queued)["status"] == "QUEUED"
    own.stop_run(queued)
    run = client.poll(queued)
    assert (run["success"], run["artifacts"]) == (False, [])
    assert own.runs()[-1]["started"] is None
    assert client.poll(running[0])["status"] == "RUNNING"
    (tmp_path / "go").touch()
    assert client.wait(running[0])["success"] is True
    assert client.run("me/quick")["success"] is True


def test_a_run_that_has_ended_stays_as_it_is(own: EmulatorProcess, client: Client) -> None:
    run = client.run("me/quick")
    assert delete(own, run["runId"]).status_code == 204
    assert client.poll(run["runId"]) == run


def test_a_run_that_waits_for_its_kernel_can_be_stopped(own: EmulatorProcess, client: Client) -> None:
    run_id = client.start("me/slow")
    wait_until(lambda: client.poll(run_id)["status"] == "RUNNING")
    own.stop_run(run_id)
    assert client.poll(run_id)["success"] is False


@pytest.mark.parametrize("run_id", ["none", "..%2F..", "%00"])
def test_an_unknown_run_is_a_404_in_words(own: EmulatorProcess, run_id: str) -> None:
    response = delete(own, run_id)
    assert response.status_code == 404
    assert "There is no run" in response.json()["error"] or response.json() == {"error": "Not Found"}


def test_a_run_that_was_stopped_stays_failed_after_a_restart(
    own: EmulatorProcess, client: Client, running: tuple[str, int]
) -> None:
    own.stop_run(running[0])
    own.restart()
    [listed] = own.runs()
    assert (listed["state"], listed["failure"]) == ("failed", "The run was stopped")


def test_another_site_s_page_cannot_stop_a_run(own: EmulatorProcess, client: Client, running: tuple[str, int]) -> None:
    foreign = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    assert delete(own, running[0], headers=foreign).status_code == 403
    assert client.post(f"/runs/{running[0]}/stop", headers=foreign).status_code == 403
    assert client.poll(running[0])["status"] == "RUNNING"


@pytest.mark.browser
@pytest.mark.parametrize("page_of", ["all runs", "the run"])
def test_the_button_on_the_page_stops_a_run(
    own: EmulatorProcess, client: Client, running: tuple[str, int], page_of: str
) -> None:
    from playwright.sync_api import expect

    executable = find_browser()
    if executable is None:
        pytest.skip("no browser is installed: apt-get install chromium")
    with Browser(executable) as browser, browser.page(own.url) as page:
        page.goto(own.url + ("/" if page_of == "all runs" else f"/runs/{running[0]}"))
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_text("failed: The run was stopped")).to_be_visible()
        expect(page.get_by_role("button")).to_have_count(0)
    assert client.poll(running[0])["success"] is False


class TestAbandonedRuns:
    """A task that timed out no longer polls its run, which keeps executing."""

    def test_a_run_that_nobody_polls_does_not_keep_others_waiting(self, tmp_path: Path) -> None:
        write_notebook(tmp_path / "notebooks", "quick", "print('done')")
        write_notebook(tmp_path / "notebooks", "forever", gate(tmp_path / "go"))
        options = ["--max-parallel-runs", "2", "--abandoned-after", "3"]
        with EmulatorProcess(tmp_path / "notebooks", *options) as process:
            client = Client(process)
            abandoned = [client.start("me/forever") for _ in range(2)]
            assert client.run("me/quick")["success"] is True
            assert [client.poll(run_id)["status"] for run_id in abandoned] == ["RUNNING", "RUNNING"]
            (tmp_path / "go").touch()
            assert [client.wait(run_id)["success"] for run_id in abandoned] == [True, True]

    def test_an_interactive_run_that_nobody_polls_does_not_either(self, tmp_path: Path) -> None:
        write_notebook(tmp_path / "notebooks", "quick", "print('done')")
        write_notebook(tmp_path / "notebooks", "forever", gate(tmp_path / "go"))
        options = ["--max-parallel-runs", "1", "--abandoned-after", "3"]
        with EmulatorProcess(tmp_path / "notebooks", *options) as process:
            client = Client(process)
            Notebook(client, "me/forever").run()
            gate_pid(tmp_path / "go")
            assert client.run("me/quick")["success"] is True
            (tmp_path / "go").touch()

    @staticmethod
    async def _takes_slot(slots: Slots, within: float) -> bool:
        async def take() -> None:
            async with slots:
                pass

        try:
            await asyncio.wait_for(take(), within)
        except TimeoutError:
            return False
        return True

    async def test_a_run_that_is_polled_keeps_its_slot(self) -> None:
        slots = Slots(1, abandoned_after=1)
        async with slots.hold("polled"):

            async def poll() -> None:
                while True:
                    slots.note_request("polled")
                    await asyncio.sleep(0.1)

            polling = asyncio.ensure_future(poll())
            assert not await self._takes_slot(slots, within=2.5)
            polling.cancel()
            assert await self._takes_slot(slots, within=10)
            assert slots.abandoned == 1
        assert slots.abandoned == 0

    async def test_no_slot_is_lost_or_invented(self) -> None:
        slots = Slots(2, abandoned_after=0.2)

        async def run(number: int) -> None:
            async with slots.hold(str(number)):
                await asyncio.sleep(0.3 * (number % 4))

        runs = [asyncio.ensure_future(run(number)) for number in range(20)]
        began = time.monotonic()
        await asyncio.sleep(0.3)
        runs[5].cancel()
        runs[-1].cancel()
        await asyncio.gather(*runs, return_exceptions=True)
        assert time.monotonic() - began < 20
        async with slots, slots:
            assert slots.locked()
            assert slots.abandoned == 0
        assert not slots.locked()
