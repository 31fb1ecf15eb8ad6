"""Each failure in a real Airflow, its log opened in a real browser at 1400 x 900: what it says is on the screen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dev.browser import Browser, find_browser
from tests.failures import play
from tests.failures.hosts import RUN_ID, Hosts
from tests.failures.screen import SIZE, one_line
from tests.failures.table import TABLE, Failure
from tests.shared_airflow import AIRFLOW, SharedAirflow

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.faults, pytest.mark.timeout(3600)]

TOLD_OF_KILLS = AIRFLOW >= (3, 3)


@dataclass(frozen=True)
class Seen:
    """One failed task.

    :param screen: the text that is visible in its log.
    :param error: XCom ``error``.
    :param state: the state of the task.
    """

    screen: str
    error: Mapping[str, str]
    state: str | None


@dataclass(frozen=True)
class AllSeen:
    """All failed tasks by their ids, what shows of the one that was cleared, and where the token showed."""

    tasks: Mapping[str, Seen]
    cleared: str
    leaks: list[str]


@pytest.fixture(scope="module")
def seen(shared_airflow: SharedAirflow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AllSeen]:
    """Every failure, provoked in one run of the DAG, with its log opened."""
    if (3,) <= AIRFLOW < (3, 1):
        pytest.skip("Airflow 3.0 is as 3.1, and has no log-in for these tests")
    executable = find_browser()
    if executable is None:
        pytest.skip("no browser is installed: apt-get install chromium")
    airflow = shared_airflow
    with Hosts(tmp_path_factory.mktemp("failures")) as hosts:
        run_id = play.provoke(airflow, hosts)
        states = play.wait_until_all_failed(airflow, run_id)
        cleared = play.clear_while_waiting(airflow) if TOLD_OF_KILLS else ""
        token = play.log_in(airflow)
        with Browser(executable) as browser, browser.page(airflow.url, token=token, viewport=SIZE) as page:
            tasks = {
                failure.task_id: look(airflow, page, run_id, failure, states.get(failure.task_id)) for failure in TABLE
            }
            screen = play.open_cleared_log(airflow, page, cleared) if cleared else ""
        yield AllSeen(tasks, screen, airflow.places_of([hosts.token]))


def look(airflow: SharedAirflow, page: Page, run_id: str, failure: Failure, state: str | None) -> Seen:
    """Open the log of a task, and read what is visible."""
    screen = play.open_log(airflow, page, run_id, failure)
    error = airflow.xcom(play.DAG_ID, run_id, failure.task_id, "error")
    return Seen(screen, error, state)


def without_blanks(text: str) -> str:
    return re.sub(r"\s", "", text)


def test_there_are_at_least_thirty_failures() -> None:
    assert len({failure.task_id for failure in TABLE}) >= 30


@pytest.mark.parametrize("failure", TABLE, ids=lambda failure: failure.task_id)
def test_a_failure_reads_in_one_screen(seen: AllSeen, failure: Failure) -> None:
    found = seen.tasks[failure.task_id]
    screen, error = found.screen, found.error
    assert found.state == ("up_for_retry" if failure.retries else "failed")
    assert error["state"] == failure.state
    assert failure.summary in error["summary"]
    assert failure.to_do in error["to_do"]
    assert len(error["summary"]) <= 100
    # All of it is visible: the class, the whole summary, the state with the address, and what to do.
    assert re.search(rf"\b{failure.error_class}\b", screen), screen
    assert one_line(error["summary"]) in screen
    assert re.search(rf"State: [^:]*{failure.state.value}", screen), screen
    assert error["notebook_url"] in screen
    # Where an address in it is a link, Airflow 2 leaves the comma after it out of the link.
    assert without_blanks(f"To do: {error['to_do']}") in without_blanks(screen)


@pytest.mark.parametrize("failure", TABLE, ids=lambda failure: failure.task_id)
def test_no_inner_frame_and_no_cause_follow(seen: AllSeen, failure: Failure) -> None:
    screen = seen.tasks[failure.task_id].screen
    frames = re.findall(r'File "([^"]+)", line \d+,? in (\w+)', screen)
    own = [(Path(file).name, name) for file, name in frames if "airflow_provider_datalore" in file]
    assert own in ([], [("failing.py", "wrapper")])
    assert len(re.findall(r"\b(?:Datalore\w*Error|AirflowSensorTimeout)(?= ?: )", screen)) == 1


@pytest.mark.skipif(not TOLD_OF_KILLS, reason="Airflow before 3.3 does not tell a trigger that its task was cleared")
def test_a_task_that_was_cleared_while_it_waited_says_so_in_one_screen(seen: AllSeen) -> None:
    assert "The task was cleared, marked or killed." in seen.cleared
    assert f"Run {RUN_ID} keeps running in Datalore: http://127.0.0.1:" in seen.cleared
    assert re.search(r"http://127\.0\.0\.1:\d+/notebook/ana/minute", seen.cleared), seen.cleared
    assert "If it was cleared, its next try waits for this run. Otherwise, stop it there" in seen.cleared
    assert "if it is not needed: Datalore has no call for that." in seen.cleared
    assert "Traceback" not in seen.cleared


def test_the_token_shows_nowhere(seen: AllSeen) -> None:
    assert seen.leaks == []
