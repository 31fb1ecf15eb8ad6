"""Whose interactive run it is that a notebook shows, and how far it has come: without a server and a clock."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_datalore.api import interactive, interactive_conditions, looking
from airflow_provider_datalore.api.calls import Call, Response
from airflow_provider_datalore.api.interactive import InteractiveRun, Stage
from airflow_provider_datalore.api.interactive_conditions import IDLE_GRACE, InteractiveRunEnded, NotebookIdle
from airflow_provider_datalore.api.models import NotebookId
from airflow_provider_datalore.api.notebook_models import Cell, Kernel
from airflow_provider_datalore.api.snapshots import NotebookState, Snapshot
from airflow_provider_datalore.api.waiting import WaitPolicy, wait_for
from airflow_provider_datalore.exceptions import (
    DataloreError,
    DataloreInteractiveRunTimeoutError,
    DataloreKernelLostError,
    DataloreNotebookApiMissingError,
    DataloreNotFoundError,
    DataloreRunOverlapError,
    DataloreUnexpectedResponseError,
)
from tests.api.fake_time import START, Answers, FakeTime, look

NOTEBOOK = NotebookId("ann", "sales")


def cell(position: int, status: str = "NONE", count: int | None = None, at: str | None = None, **more: Any) -> Cell:
    """A cell; it was executed at a time that its number tells, unless it was not."""
    at = at or (f"2021-01-01T00:{count // 60:02}:{count % 60:02}Z" if count is not None else None)
    told = {"cellId": f"c{position}", "cellType": "CODE", "position": position, "source": "1"}
    timing = None if at is None else {"durationMs": 5, "lastExecutedAt": at}
    return Cell.model_validate({**told, "executionStatus": status, "executionCount": count, "timing": timing, **more})


def view(*cells: Cell, state: str = "READY", running: int | None = None) -> NotebookState:
    return NotebookState(Kernel(state=state, running_cell_id=None if running is None else f"c{running}"), cells)


def ran(*counts: int | None, state: str = "READY", running: int | None = None) -> NotebookState:
    """Cells that went well with these numbers; None is one that never ran."""
    made = (cell(i, "NONE" if count is None else "VALID", count) for i, count in enumerate(counts))
    return view(*made, state=state, running=running)


def before(*counts: int | None, state: str = "READY") -> Snapshot:
    return Snapshot.take(NOTEBOOK, ran(*counts, state=state), {})


NEVER = before(None, None, None, state="NOT_STARTED")
NEVER_ONE = before(None, state="NOT_STARTED")


@pytest.mark.parametrize(
    ("snapshot", "now", "expected"),
    [
        (NEVER, ran(None, None, None), Stage.NOT_BEGUN),
        (NEVER, ran(None, None, None, state="BUSY", running=0), Stage.RUNNING),
        (NEVER, ran(1, None, None, state="BUSY", running=1), Stage.RUNNING),
        (NEVER, ran(1, None, None), Stage.IDLE),
        (NEVER, ran(1, 2, 3, state="BUSY", running=2), Stage.RUNNING),
        (NEVER, ran(1, 2, 3), Stage.SUCCEEDED),
        (NEVER, view(cell(0, "WARNING", 1), cell(1, "VALID", 2), cell(2, "WARNING", 3)), Stage.SUCCEEDED),
        (NEVER, view(cell(0, "VALID", 1), cell(1, "ERROR", 2), cell(2)), Stage.FAILED),
        (NEVER, view(cell(0, "VALID", 1), cell(1, "ERROR", 2), cell(2), state="BUSY", running=2), Stage.FAILED),
        (NEVER, view(cell(0, "VALID", 1), cell(1, "TIMEOUT", 2), cell(2)), Stage.IDLE),
        (NEVER, view(cell(0, "STARTED"), cell(1), cell(2)), Stage.IDLE),
        (before(1, 2, 3), ran(1, 2, 3), Stage.NOT_BEGUN),
        (before(1, 2, 3), ran(4, 2, 3), Stage.IDLE),
        (before(1, 2, 3), ran(4, 5, 6), Stage.SUCCEEDED),
        (Snapshot.take(NOTEBOOK, view(cell(0, "ERROR", 1)), {}), view(cell(0, "ERROR", 1)), Stage.NOT_BEGUN),
        (Snapshot.take(NOTEBOOK, view(cell(0, "ERROR", 1)), {}), view(cell(0, "ERROR", 2)), Stage.FAILED),
        # The same number in a new kernel, at another time.
        (before(1, 2), view(cell(0, "VALID", 1, "2027-01-01T00:00:00Z"), cell(1, "VALID", 2, "2027-01-01T00:00:01Z")),
         Stage.SUCCEEDED),
        (NEVER, view(), Stage.NOT_BEGUN),
        (Snapshot.take(NOTEBOOK, view(cell(0, cellType="MARKDOWN")), {}), view(cell(0, cellType="MARKDOWN")),
         Stage.SUCCEEDED),
    ],
)  # fmt: skip
def test_how_far_a_run_has_come(snapshot: Snapshot, now: NotebookState, expected: Stage) -> None:
    assert interactive.stage(snapshot, now) is expected


def test_cells_that_need_not_run_are_not_waited_for() -> None:
    cells = (cell(0, cellType="MARKDOWN"), cell(1, source="  "), cell(2, cellType="NEWS"), cell(3))
    snapshot = Snapshot.take(NOTEBOOK, view(*cells), {})
    assert snapshot.required == ("c3",)
    assert interactive.stage(snapshot, view(*cells[:3], cell(3, "VALID", 1))) is Stage.SUCCEEDED


def test_a_cell_that_is_added_or_deleted_while_it_runs_does_not_matter() -> None:
    snapshot = before(None, None, state="NOT_STARTED")
    assert interactive.stage(snapshot, view(cell(0, "VALID", 1), cell(7))) is Stage.SUCCEEDED


def test_without_numbers_and_times_a_change_of_status_tells() -> None:
    snapshot = Snapshot.take(NOTEBOOK, view(cell(0), cell(1)), {})
    assert interactive.stage(snapshot, view(cell(0, "VALID"), cell(1, "VALID"))) is Stage.SUCCEEDED


@pytest.mark.parametrize(
    ("snapshot", "now"),
    [
        (NEVER, ran(1, 2, 3)),
        (before(1, 2, 3), ran(4, 5, 6)),
        (before(7, 8, 9), ran(1, 2, 3)),
        (NEVER, view(cell(0, "VALID", 1), cell(1, "ERROR", 2), cell(2))),
        # Somebody executed the first cell again, afterwards.
        (NEVER, ran(4, 2, 3)),
        # Twenty numbers belonged to cells that were deleted.
        (before(1, 2, 3), ran(24, 25, 26)),
        # A server that goes on after an error.
        (NEVER, view(cell(0, "VALID", 1), cell(1, "ERROR", 2), cell(2, "VALID", 3))),
        (before(None), view(cell(0, "VALID"))),
    ],
)
def test_a_run_that_nobody_disturbed_is_the_tasks_own(snapshot: Snapshot, now: NotebookState) -> None:
    interactive.check_own(snapshot, now)


@pytest.mark.parametrize(
    ("snapshot", "now"),
    [
        # Two runs, one after the other, from the same moment.
        (NEVER, ran(4, 5, 6)),
        (before(1, 2, 3), ran(7, 8, 9)),
        (NEVER, view(cell(0, "VALID", 3), cell(1, "ERROR", 4), cell(2))),
        # The first run went well, and the second failed.
        (NEVER, view(cell(0, "VALID", 4), cell(1, "ERROR", 5), cell(2, "VALID", 3))),
        # Somebody executed a cell in between.
        (NEVER, ran(1, 2, 4)),
    ],
)
def test_a_run_that_may_be_someone_elses_is_not_taken_for_the_tasks_own(snapshot: Snapshot, now: NotebookState) -> None:
    with pytest.raises(DataloreRunOverlapError, match="Another user or task executed"):
        interactive.check_own(snapshot, now)


@pytest.mark.parametrize(
    ("now", "own"),
    [
        (ran(None, None, None, state="BUSY", running=0), True),
        (ran(1, None, None, state="BUSY", running=1), True),
        (ran(1, 2, 3), False),
        (ran(None, 2, 3, state="BUSY", running=0), False),
        (ran(4, None, 3, state="BUSY", running=1), False),
        (ran(4, None, None, state="BUSY", running=1), False),
        (view(cell(0, "WAITING"), cell(1, "WAITING"), state="BUSY"), True),
        (view(cell(0, "WAITING", 1), cell(1, "WAITING", 2), state="BUSY"), False),
    ],
)
def test_what_runs_is_interrupted_only_if_it_can_be_no_one_elses(now: NotebookState, own: bool) -> None:
    assert interactive.is_own(NEVER, now) is own


def test_a_snapshot_is_the_same_after_being_kept_as_text() -> None:
    control = {"controlType": "TEXT_INPUT", "variable": "name", "value": "Ann"}
    snapshot = Snapshot.take(NOTEBOOK, ran(1, None, 3), {"c9": control})
    assert Snapshot.from_text(snapshot.to_text()) == snapshot


def test_a_snapshot_does_not_hold_what_controls_were_set_to() -> None:
    control = {"controlType": "TEXT_INPUT", "variable": "password", "value": "from-a-secret-store"}
    assert "from-a-secret-store" not in Snapshot.take(NOTEBOOK, ran(1), {"c9": control}).to_text()


def test_a_control_that_was_set_to_something_else_tells_of_another_run() -> None:
    control = {"controlType": "TEXT_INPUT", "label": "Name", "variable": "name", "value": "Ann"}
    snapshot = Snapshot.take(NOTEBOOK, ran(None, state="NOT_STARTED"), {"c1": control})
    new_field = {**control, "placeholder": "of a newer server"}
    interactive.check_own(snapshot, view(cell(0, "VALID", 1), cell(1, cellType="CONTROL", data={"control": new_field})))
    other = view(cell(0, "VALID", 1), cell(1, cellType="CONTROL", data={"control": {**control, "value": "Bob"}}))
    with pytest.raises(DataloreRunOverlapError, match="control of variable 'name'"):
        interactive.check_own(snapshot, other)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", None, '{"notebook": ["a"]}', '{"notebook": "ab", "before": 1}']
)
def test_text_that_is_no_snapshot_is_an_error_that_says_so(text: object) -> None:
    with pytest.raises(DataloreError, match="cannot be read"):
        Snapshot.from_text(text)


def test_a_run_tells_which_cells_it_executed() -> None:
    run = InteractiveRun.of(before(1, None), view(cell(0, "VALID", 1), cell(1, "ERROR", 2)))
    assert (run.success, run.failed_cell_id) == (False, "c1")
    assert [each["cell_id"] for each in run.cells] == ["c1"]
    assert "source" not in run.cells[0]
    assert InteractiveRun.model_validate(run.to_json()) == run


class TestTheWait:
    def wait(self, time: FakeTime, answers: Answers, **policy: Any) -> FakeTime:
        condition = InteractiveRunEnded(NEVER, 60.0, "https://datalore.example/n")
        return time.play(wait_for(look, condition, WaitPolicy(**policy), time.clock), answers)

    def test_it_ends_when_every_cell_has_run(self) -> None:
        running, over = ran(1, None, None, state="BUSY", running=1), ran(1, 2, 3)
        time = self.wait(FakeTime(), lambda now: over if now > 20 else running)
        assert time.outcome == over

    def test_a_moment_without_a_running_cell_is_borne(self) -> None:
        def answers(now: float) -> NotebookState:
            return ran(1, 2, 3) if now > 60 else ran(1, None, None) if 20 < now < 21 + IDLE_GRACE / 3 else busy

        busy = ran(1, None, None, state="BUSY", running=1)
        assert self.wait(FakeTime(), answers).outcome == ran(1, 2, 3)

    def test_a_run_that_is_only_seen_between_two_cells_goes_on(self) -> None:
        def answers(now: float) -> NotebookState:
            done = min(9, 1 + int(now / (IDLE_GRACE * 0.8)))
            return ran(*range(1, done + 1), *[None] * (9 - done))

        condition = InteractiveRunEnded(before(*[None] * 9), 60.0, "https://datalore.example/n")
        time = FakeTime()
        time.play(wait_for(look, condition, WaitPolicy(poll_interval=IDLE_GRACE), time.clock), answers)
        assert time.outcome == ran(*range(1, 10))

    def test_a_kernel_that_is_lost_is_given_up_after_a_grace(self) -> None:
        busy, lost = ran(1, None, None, state="BUSY", running=1), ran(1, None, None)
        time = self.wait(FakeTime(), lambda now: busy if now < 10 else lost)
        assert isinstance(time.error, DataloreKernelLostError)
        assert 10 + IDLE_GRACE <= time.passed <= 10 + 2 * IDLE_GRACE

    def test_a_first_cell_whose_kernel_died_is_given_up_too(self) -> None:
        busy, lost = ran(None, None, None, state="BUSY", running=0), ran(None, None, None)
        time = self.wait(FakeTime(), lambda now: busy if now < 10 else lost)
        assert isinstance(time.error, DataloreKernelLostError)
        assert time.passed < 60

    def test_a_kernel_that_never_starts_is_given_up(self) -> None:
        time = self.wait(FakeTime(), lambda _: ran(None, None, None))
        assert isinstance(time.error, DataloreKernelLostError)
        assert "start_timeout" in str(time.error)
        assert 60 <= time.passed < 75

    def test_the_deadline_is_kept(self) -> None:
        time = self.wait(FakeTime(), lambda _: ran(None, None, None, state="BUSY", running=0), deadline=START + 40)
        assert isinstance(time.error, DataloreInteractiveRunTimeoutError)
        assert time.passed == pytest.approx(40)

    def test_a_notebook_that_is_gone_is_final(self) -> None:
        gone = DataloreNotFoundError("gone", status=404)
        assert self.wait(FakeTime(), lambda _: gone).error is gone


class TestTheTurn:
    def wait(self, answers: Answers, quiet: float = 32.0) -> FakeTime:
        time = FakeTime()
        condition = NotebookIdle(NOTEBOOK, "there", quiet, clock=time.clock.wall)
        return time.play(wait_for(look, condition, WaitPolicy(poll_interval=5), time.clock), answers)

    def test_it_comes_at_once_when_nothing_ran_for_long(self) -> None:
        assert self.wait(lambda _: ran(1, 2)).passed < 2

    def test_it_comes_when_others_had_the_time_to_see_what_came_of_their_run(self) -> None:
        busy = ran(1, None, state="BUSY", running=1)
        time = self.wait(lambda now: busy if now < 100 else ran(1, 2))
        assert 132 <= time.passed <= 140

    def test_a_run_that_ended_right_before_is_left_to_others(self) -> None:
        just_now = "2023-11-14T22:13:10Z"  # ten seconds before the start
        time = self.wait(lambda _: view(cell(0, "VALID", 1, just_now)))
        assert 22 <= time.passed <= 30

    def test_a_clock_that_is_ahead_does_not_keep_a_task_waiting(self) -> None:
        time = self.wait(lambda _: view(cell(0, "VALID", 1, "2033-01-01T00:00:00Z")))
        assert 32 <= time.passed <= 40

    @pytest.mark.parametrize("told", ["2023-11-14T22:13:00Z", "2023-11-14T21:43:00Z"])
    def test_whether_a_time_is_the_beginning_or_the_end_does_not_matter(self, told: str) -> None:
        """A cell of half an hour that ended 20 seconds ago, told by its end or by its beginning."""
        long = cell(0, "VALID", 1, timing={"durationMs": 1_800_000, "lastExecutedAt": told})
        assert 12 <= self.wait(lambda _: view(long)).passed <= 20


class Answered:
    """Plays a flow without a server."""

    def answers(self, exchange: Any, *answers: Response) -> tuple[list[Call], Any]:
        asked: list[Call] = [next(exchange)]
        for answer in answers:
            try:
                asked.append(exchange.send(answer))
            except StopIteration as end:
                return asked, end.value
        return asked, None

    @staticmethod
    def answer(status: int = 200, body: str = "{}") -> Response:
        return Response(
            connection="connection 'dl'", status=status, url="https://dl/x", received_at=0, body=body.encode()
        )


class TestLooking(Answered):
    def test_while_the_same_cell_runs_only_the_kernel_is_asked(self) -> None:
        last = ran(None, state="BUSY", running=0)
        body = '{"state": "BUSY", "runningCellId": "c0"}'
        asked, seen = self.answers(looking.look(NOTEBOOK, last), self.answer(body=body))
        assert [call.path for call in asked] == ["/api/notebook/v1/kernel/status"]
        assert seen == last

    def test_a_404_of_the_whole_api_is_told_from_one_of_the_notebook(self) -> None:
        with pytest.raises(DataloreNotebookApiMissingError, match=r"on-premises 2026\.2"):
            self.answers(looking.look(NOTEBOOK), self.answer(404), self.answer(404))
        with pytest.raises(DataloreNotFoundError, match="ann/sales does not exist, or is not shared"):
            self.answers(looking.look(NOTEBOOK), self.answer(404), self.answer(400))

    @pytest.mark.parametrize("body", ["[]", "{}", '{"state": 7}', "null", "1"])
    def test_an_answer_that_tells_no_state_is_not_datalores(self, body: str) -> None:
        with pytest.raises(DataloreUnexpectedResponseError):
            self.answers(looking.look(NOTEBOOK), self.answer(body=body))

    @pytest.mark.parametrize("body", ["{}", '{"cellsWithOutputs": null}', '{"cellsWithOutputs": [1]}', "[]"])
    def test_an_answer_that_tells_no_cells_is_not_datalores(self, body: str) -> None:
        with pytest.raises(DataloreUnexpectedResponseError):
            self.answers(looking.look(NOTEBOOK), self.answer(body='{"state": "READY"}'), self.answer(body=body))

    def test_what_only_informs_may_be_anything(self) -> None:
        body = (
            '{"cellsWithOutputs": [{"cellId": "c0", "cellType": 7, "position": "first", "source": null, "data": [],'
            ' "executionStatus": "VALID", "executionCount": "many", "timing": {"lastExecutedAt": []}, "news": 1}]}'
        )
        _, seen = self.answers(
            looking.look(NOTEBOOK), self.answer(body='{"state": "SLEEPING"}'), self.answer(body=body), self.answer(404)
        )
        assert seen.cells == (Cell(cell_id="c0", execution_status="VALID"),)
        assert not seen.kernel.is_busy


class TestEndingWhatIsTheTasksOwn(Answered):
    """Datalore tells of the kernel and of the cells in two answers, between which a cell may begin or end."""

    def kernel(self, state: NotebookState) -> Response:
        return self.answer(body=state.kernel.model_dump_json(by_alias=True))

    def cells(self, state: NotebookState) -> Response:
        told = [each.model_dump(mode="json", by_alias=True) for each in state.cells]
        return self.answer(body=json.dumps({"cellsWithOutputs": told}))

    def looked(self, *states: NotebookState) -> list[Response]:
        """Kernel, cells, kernel, cells, …"""
        return [(self.cells if number % 2 else self.kernel)(state) for number, state in enumerate(states)]

    @pytest.mark.parametrize("status", ["VALID", "ERROR"])
    def test_a_session_whose_run_ends_between_the_answers_is_stopped(self, status: str) -> None:
        runs, ended = view(cell(0, "STARTED"), state="BUSY", running=0), view(cell(0, status, 1))
        answers = self.looked(runs, ended, ended, ended)
        asked, said = self.answers(interactive.stop_own_session(NEVER_ONE), *answers, self.answer(204, ""))
        assert asked[-1].path == "/api/notebook/v1/agent/stop"
        assert said == "The session of notebook ann/sales was stopped."
        _, said = self.answers(interactive.interrupt_own(NEVER_ONE), *answers)
        assert said.startswith("The kernel of notebook ann/sales was not interrupted: the run ")

    def test_a_run_that_begins_between_the_answers_is_interrupted(self) -> None:
        ready, runs = view(cell(0)), view(cell(0, "STARTED"), state="BUSY", running=0)
        done = self.answer(body='{"interrupted": true}')
        _, said = self.answers(interactive.interrupt_own(NEVER_ONE), *self.looked(ready, runs, runs, runs), done)
        assert said == "The kernel of notebook ann/sales was interrupted."

    def test_a_session_in_which_others_run_something_since_is_left_to_them(self) -> None:
        runs, failed = view(cell(0, "STARTED"), state="BUSY", running=0), view(cell(0, "ERROR", 1))
        others = view(cell(0, "ERROR", 1), cell(1, "STARTED"), state="BUSY", running=1)
        asked, said = self.answers(interactive.stop_own_session(NEVER_ONE), *self.looked(runs, failed, others, others))
        assert said.endswith("was not stopped: another user or task may be running it.")
        assert not any(call.path.endswith("stop") for call in asked)

    def test_answers_that_agree_are_enough(self) -> None:
        runs = view(cell(0, "STARTED"), state="BUSY", running=0)
        asked, _ = self.answers(interactive.stop_own_session(NEVER_ONE), *self.looked(runs, runs), self.answer(204, ""))
        assert len(asked) == 3


def test_the_grace_is_longer_than_a_kernel_takes_between_two_cells() -> None:
    assert interactive_conditions.IDLE_GRACE >= 10
