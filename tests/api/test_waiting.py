"""When to ask again, when to give up, and what each answer means: all of it in no time."""

from __future__ import annotations

import itertools
import logging
import random
from typing import Any

import pytest

from airflow_provider_datalore import defaults
from airflow_provider_datalore.api.conditions import NEW_RUN_GRACE, RunEnded
from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.api.waiting import (
    MIN_POLL_INTERVAL,
    WaitPolicy,
    deadline_after,
    retry,
    submit,
    wait_for,
)
from airflow_provider_datalore.exceptions import (
    DataloreApiError,
    DataloreBadRequestError,
    DataloreConfigurationError,
    DataloreError,
    DataloreForbiddenError,
    DataloreNotFoundError,
    DataloreRunTimeoutError,
    DataloreUnauthorizedError,
    DataloreUnavailableError,
    DataloreUnexpectedResponseError,
    DataloreUntrustedServerError,
)
from tests.api.fake_time import FINISHED, RUNNING, START, Answers, FakeTime, finishes_at, in_turn, look
from tests.lines import in_one

CHANCES = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.999_999]
REFUSALS: list[DataloreError] = [
    DataloreBadRequestError("400"),
    DataloreForbiddenError("403"),
    DataloreApiError("409"),
    DataloreConfigurationError("the connection is gone"),
]


def down(retry_after: float | None = None) -> DataloreUnavailableError:
    """Datalore cannot answer now."""
    return DataloreUnavailableError("down", status=503, retry_after=retry_after)


def missing() -> DataloreNotFoundError:
    """Datalore does not know the run."""
    return DataloreNotFoundError("no such run", status=404)


def refused() -> DataloreUnauthorizedError:
    """Datalore does not take the token."""
    return DataloreUnauthorizedError("wrong token", status=401)


def always(answer: Any) -> Answers:
    """The same answer at any time."""
    return lambda now: answer


def waited(time: FakeTime, answers: Answers, **policy: Any) -> FakeTime:
    """A wait, carried out."""
    return time.play(wait_for(look, RunEnded("r1", "Datalore"), WaitPolicy(**policy), time.clock), answers)


# The schedule


@pytest.mark.parametrize("chance", CHANCES)
def test_a_run_of_one_hour_costs_at_most_160_requests(chance: float) -> None:
    time = waited(FakeTime(chance), finishes_at(3600))
    assert time.outcome is FINISHED
    assert len(time.asked) <= 160


def test_a_run_of_one_hour_costs_at_most_160_requests_as_chance_really_falls() -> None:
    chances = random.Random(5)  # noqa: S311
    for _ in range(50):
        assert len(waited(FakeTime(iter(chances.random, None)), finishes_at(3600)).asked) <= 160


@pytest.mark.parametrize("chance", CHANCES)
@pytest.mark.parametrize(
    ("takes", "within"), [(0.5, 1), (1, 1), (2, 1), (3, 1), (5, 1), (8, 1), (15, 5), (30, 5), (120, 15), (240, 30)]
)
def test_the_end_of_a_short_run_is_noticed_soon(chance: float, takes: float, within: float) -> None:
    time = waited(FakeTime(chance), finishes_at(takes))
    assert time.outcome is FINISHED
    assert time.asked[-1] - takes <= within


@pytest.mark.parametrize("latency", [0.0, 0.3, 4.0, 14.0])
def test_slow_answers_do_not_make_polls_rarer(latency: float) -> None:
    time = waited(FakeTime(1.0, latency=latency), finishes_at(3600), poll_interval=30, since=START - 3600)
    between = [later - earlier for earlier, later in itertools.pairwise(time.asked)]
    assert {round(seconds, 6) for seconds in between} == {30.0}


@pytest.mark.parametrize(("latency", "gap"), [(20.0, 15.0), (200.0, 15.0)])
def test_answers_slower_than_the_interval_leave_datalore_half_of_it_in_peace(latency: float, gap: float) -> None:
    time = waited(FakeTime(1.0, latency=latency), finishes_at(3600), poll_interval=30, since=START - 3600)
    assert set(time.gaps) == {gap}


@pytest.mark.parametrize("chance", CHANCES)
@pytest.mark.parametrize("poll_interval", [1, 2, 10, 30, 60, 300])
@pytest.mark.parametrize("takes", [599, 7200.5])
def test_the_end_of_a_long_run_is_noticed_within_the_poll_interval(
    chance: float, poll_interval: float, takes: float
) -> None:
    time = waited(FakeTime(chance), finishes_at(takes), poll_interval=poll_interval)
    assert time.asked[-1] - takes <= poll_interval
    assert max(time.gaps) <= poll_interval


@pytest.mark.parametrize("chance", CHANCES)
def test_two_requests_are_never_closer_than_nine_tenths_of_the_shortest_interval(chance: float) -> None:
    time = waited(FakeTime(chance), finishes_at(60), poll_interval=1)
    assert min(time.gaps) >= 0.9 * MIN_POLL_INTERVAL


def test_the_time_between_two_requests_only_grows() -> None:
    gaps = waited(FakeTime(chance=1.0), finishes_at(3600)).gaps
    assert all(later >= earlier - 1e-6 for earlier, later in itertools.pairwise(gaps))
    assert gaps[-1] == pytest.approx(defaults.POLL_INTERVAL)


@pytest.mark.parametrize("running_for", [0, 80, 3600])
def test_runs_that_a_triggerer_finds_all_at_once_are_spread_over_an_interval(running_for: float) -> None:
    firsts = []
    for chance in (0.0, 0.25, 0.5, 0.75, 1.0):
        time = FakeTime(chance, passed=running_for)
        waited(time, finishes_at(running_for), since=START)
        firsts.append(time.asked[0] - running_for)
    interval = WaitPolicy().interval(running_for)
    assert firsts == pytest.approx([0, interval / 4, interval / 2, interval * 3 / 4, interval])


def test_a_wait_that_is_taken_up_again_does_not_begin_its_schedule_anew() -> None:
    time = waited(FakeTime(chance=1.0, passed=3600), finishes_at(3800), since=START)
    assert time.gaps == pytest.approx([defaults.POLL_INTERVAL] * len(time.gaps))


def test_nobody_is_asked_before_it_is_allowed() -> None:
    time = waited(FakeTime(chance=0.0), always(FINISHED), not_before=START + 5)
    assert time.asked == [5.0]


def test_the_first_requests_are_spread_also_when_they_may_not_come_at_once() -> None:
    time = waited(FakeTime(chance=0.5), always(FINISHED), not_before=START + 5)
    assert time.asked == [5.5]


def test_a_time_to_begin_that_has_passed_does_not_count() -> None:
    time = waited(FakeTime(chance=0.0, passed=9.0), always(FINISHED), not_before=START + 5)
    assert time.asked == [9.0]


def test_a_run_that_has_ended_already_is_asked_for_once(time: FakeTime) -> None:
    assert waited(time, always(FINISHED)).outcome is FINISHED
    assert len(time.asked) == 1
    assert time.passed <= MIN_POLL_INTERVAL


@pytest.mark.parametrize("success", [None, False, True])
def test_a_wait_ends_with_the_run_whether_it_ended_well_or_not(time: FakeTime, success: bool | None) -> None:
    ended = FINISHED.model_copy(update={"success": success})
    assert waited(time, always(ended)).outcome is ended


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("poll_interval", 0),
        ("poll_interval", 0.99),
        ("poll_interval", -1),
        ("poll_interval", float("nan")),
        ("poll_interval", float("inf")),
        ("poll_interval", "30"),
        ("poll_interval", None),
        ("poll_interval", True),
        ("max_outage", -0.1),
        ("max_outage", float("nan")),
        ("max_outage", float("inf")),
        ("max_outage", "1800"),
        ("max_outage", None),
        ("max_outage", False),
    ],
)
def test_patience_that_is_no_number_in_range_is_refused_naming_it(field: str, value: Any) -> None:
    with pytest.raises(DataloreConfigurationError, match=f"^{field} is {value!r}"):
        WaitPolicy(**{field: value})


def test_the_defaults_are_those_that_are_documented() -> None:
    assert (WaitPolicy().poll_interval, WaitPolicy().max_outage, WaitPolicy().deadline) == (30.0, 1800.0, None)


# What a log says


def test_a_change_is_logged_and_a_single_poll_is_not(time: FakeTime, caplog: pytest.LogCaptureFixture) -> None:
    queued = Run(run_id="r1", status="QUEUED")
    with caplog.at_level(logging.INFO):
        waited(time, in_turn(queued, queued, queued, RUNNING, RUNNING))
    assert [record.getMessage() for record in caplog.records] == [
        "Run r1 is 'QUEUED'.",
        "Run r1 is 'RUNNING'.",
        "Run r1 is finished.",
    ]


def test_a_long_wait_logs_a_line_every_ten_minutes(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        waited(FakeTime(), finishes_at(7500))
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    assert lines[0] == "Run r1 is 'RUNNING'."
    assert lines[-1] == "Run r1 is finished after 2 h 05 min."
    assert 12 <= len(lines) - 2 <= 13
    assert all(line.startswith("Run r1 is 'RUNNING' after ") for line in lines[1:-1])


def test_an_outage_and_its_end_are_logged(time: FakeTime, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        waited(time, in_turn(RUNNING, down(), down()))
    levels = [record.levelname for record in caplog.records]
    assert levels == ["INFO", "WARNING", "WARNING", "INFO", "INFO"]
    assert "down" in caplog.text
    assert "responds again" in caplog.text


# An outage


@pytest.mark.parametrize(
    "error",
    [
        down(),
        DataloreUnavailableError("no answer"),
        DataloreUnavailableError("never connected", never_received=True),
        DataloreUntrustedServerError("an unknown certificate"),
        DataloreUnexpectedResponseError("a login page"),
    ],
)
def test_an_outage_is_borne(time: FakeTime, error: DataloreError) -> None:
    assert waited(time, in_turn(RUNNING, *[error] * 20)).outcome is FINISHED


@pytest.mark.parametrize("max_outage", [0.2, 1, 10, 600, 1800, 86400])
@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_an_outage_is_borne_for_max_outage_and_no_longer(chance: float, max_outage: float) -> None:
    time = waited(FakeTime(chance), in_turn(RUNNING, then=down()), max_outage=max_outage)
    assert isinstance(time.error, DataloreUnavailableError)
    began, ended = time.answered[1], time.answered[-1]
    assert ended - began == pytest.approx(max_outage)
    assert f"max_outage is {max_outage:g} s" in str(time.error)
    assert "down" in str(time.error)
    assert time.error.status == 503


def test_an_outage_of_zero_seconds_is_not_borne(time: FakeTime) -> None:
    error = down()
    assert waited(time, in_turn(RUNNING, error), max_outage=0).error is error
    assert len(time.asked) == 2


def test_a_server_that_does_not_speak_datalore_for_too_long_is_unavailable(time: FakeTime) -> None:
    login_page = DataloreUnexpectedResponseError("a login page", status=200, url="https://dl.example.com/x")
    waited(time, always(login_page), max_outage=60)
    assert isinstance(time.error, DataloreUnavailableError)
    assert "a login page" in str(time.error)
    assert (time.error.status, time.error.url) == (200, "https://dl.example.com/x")
    assert time.error.__cause__ is login_page


def test_a_good_answer_gives_the_whole_budget_back(time: FakeTime) -> None:
    answers = [*[down()] * 6, RUNNING] * 10
    waited(time, in_turn(*answers), max_outage=60)
    assert time.outcome is FINISHED
    assert time.passed > 60


def test_a_good_answer_makes_the_next_outage_begin_quickly_again() -> None:
    time = waited(FakeTime(chance=1.0), in_turn(RUNNING, *[down()] * 5, RUNNING, *[down()] * 3))
    assert time.gaps[1:6] == pytest.approx([1, 2, 4, 8, 16])
    assert time.gaps[7:10] == pytest.approx([1, 2, 4])


def test_requests_in_an_outage_come_ever_more_slowly_up_to_a_minute() -> None:
    gaps = waited(FakeTime(chance=1.0), in_turn(then=down())).gaps
    assert gaps[:8] == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60])
    assert max(gaps) == 60


def test_requests_in_an_outage_are_spread_by_half() -> None:
    assert waited(FakeTime(chance=0.0), in_turn(then=down())).gaps[:4] == pytest.approx([0.5, 1, 2, 4])


def test_an_outage_in_which_each_request_takes_long_ends_in_time() -> None:
    time = waited(FakeTime(latency=60), in_turn(then=down()), max_outage=600)
    assert isinstance(time.error, DataloreUnavailableError)
    assert time.answered[-1] - time.answered[0] <= 600 + 60


@pytest.mark.parametrize("chance", CHANCES)
def test_retry_after_is_obeyed(chance: float) -> None:
    time = waited(FakeTime(chance), in_turn(RUNNING, down(retry_after=90.0), down(retry_after=45.0)))
    assert time.gaps[1:3] == pytest.approx([90, 45])


@pytest.mark.parametrize("retry_after", [0.0, 0.001])
def test_a_retry_after_that_is_too_short_does_not_make_requests_come_faster(retry_after: float) -> None:
    time = waited(FakeTime(chance=0.0), in_turn(RUNNING, down(retry_after)))
    assert time.gaps[1] >= MIN_POLL_INTERVAL / 2


@pytest.mark.parametrize("retry_after", [601.0, 1e9, 1e300])
def test_a_retry_after_beyond_the_budget_is_cut_to_it_and_one_more_request_made(retry_after: float) -> None:
    time = waited(FakeTime(), in_turn(RUNNING, down(retry_after)), max_outage=600)
    assert time.outcome is FINISHED
    assert time.gaps[1] == pytest.approx(600)


def test_a_retry_after_beyond_the_deadline_is_cut_to_it() -> None:
    time = waited(FakeTime(), in_turn(RUNNING, down(retry_after=1000.0)), deadline=START + 100)
    assert time.outcome is FINISHED
    assert time.asked[-1] == pytest.approx(100)


# The deadline


@pytest.mark.parametrize("chance", CHANCES)
@pytest.mark.parametrize("deadline", [0.3, 1, 60, 3600])
def test_a_wait_ends_at_the_deadline_and_not_later(chance: float, deadline: float) -> None:
    time = waited(FakeTime(chance), always(RUNNING), deadline=START + deadline)
    assert isinstance(time.error, DataloreRunTimeoutError)
    assert time.passed == pytest.approx(deadline)
    assert time.asked[-1] == pytest.approx(deadline)


def test_the_status_is_asked_once_more_at_the_deadline(time: FakeTime) -> None:
    assert waited(time, finishes_at(99.99), deadline=START + 100).outcome is FINISHED
    assert time.asked[-1] == pytest.approx(100)


@pytest.mark.parametrize("late", [0, 1, 86400])
def test_a_deadline_that_has_passed_already_still_asks_once(late: float) -> None:
    time = waited(FakeTime(passed=100.0 + late), always(FINISHED), deadline=START + 100, since=START)
    assert time.outcome is FINISHED
    assert (time.asked, time.slept) == ([100.0 + late], [])


def test_a_deadline_comes_before_the_time_to_begin() -> None:
    assert waited(FakeTime(), always(FINISHED), not_before=START + 60, deadline=START + 10).asked == [10]


def test_the_error_carries_the_run_as_it_was_reported_last(time: FakeTime) -> None:
    last = Run(run_id="r1", status="ALMOST")
    waited(time, lambda now: last if now > 50 else RUNNING, deadline=START + 100)
    assert isinstance(time.error, DataloreRunTimeoutError)
    assert time.error.run is last
    assert "'ALMOST'" in str(time.error)


def test_the_error_says_when_and_that_the_notebook_goes_on(time: FakeTime) -> None:
    waited(time, always(RUNNING), deadline=START + 100)
    for part in ("Run r1", "2023-11-14 22:15:00 UTC", "keeps running in Datalore"):
        assert part in in_one(time.error)


def test_the_error_says_where_to_look(time: FakeTime) -> None:
    policy = WaitPolicy(deadline=START + 100)
    address = "https://dl.example.com/notebook/ann/sales"
    time.play(wait_for(look, RunEnded("r1", address), policy, time.clock), always(RUNNING))
    assert address in str(time.error)


@pytest.mark.parametrize("error", [down(), missing(), DataloreUnexpectedResponseError("a login page")])
def test_a_deadline_in_an_outage_is_a_timeout_with_what_was_known_before(time: FakeTime, error: DataloreError) -> None:
    waited(time, always(error), deadline=START + 20)
    assert isinstance(time.error, DataloreRunTimeoutError)
    assert time.error.run is None
    assert "never reported its status" in str(time.error)
    assert time.passed == pytest.approx(20)


def test_the_run_that_was_seen_before_an_outage_is_carried_too(time: FakeTime) -> None:
    waited(time, lambda now: RUNNING if now < 5 else down(), deadline=START + 20)
    assert isinstance(time.error, DataloreRunTimeoutError)
    assert time.error.run is RUNNING


@pytest.mark.parametrize("error", [*REFUSALS, refused()])
def test_a_refusal_at_the_deadline_is_told_as_it_is(time: FakeTime, error: DataloreError) -> None:
    waited(time, lambda now: RUNNING if now < 99 else error, deadline=START + 100)
    assert time.error is error


def test_an_outage_that_is_used_up_before_the_deadline_ends_the_wait(time: FakeTime) -> None:
    waited(time, always(down()), max_outage=10, deadline=START + 100)
    assert isinstance(time.error, DataloreUnavailableError)


def test_the_deadline_counts_on_the_wall_clock_also_when_that_is_set(time: FakeTime) -> None:
    def says(now: float) -> Run:
        if now > 30:
            time.wall_offset = START + 3600
        return RUNNING

    waited(time, says, deadline=START + 1000)
    assert isinstance(time.error, DataloreRunTimeoutError)
    assert time.passed < 100


def test_an_outage_is_measured_without_the_wall_clock(time: FakeTime) -> None:
    def says(now: float) -> Any:
        time.wall_offset += 10_000
        return down() if now < 300 else FINISHED

    assert waited(time, says, max_outage=600).outcome is FINISHED


@pytest.mark.parametrize(("timeout", "deadline"), [(None, None), (60, 160.0), (0.5, 100.5), (0, 100.0)])
def test_a_time_limit_ends_so_many_seconds_from_now(timeout: float | None, deadline: float | None) -> None:
    assert deadline_after(timeout, 100.0) == deadline


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), "60", True, [60]])
def test_a_time_limit_that_is_no_number_is_refused(timeout: object) -> None:
    with pytest.raises(DataloreConfigurationError, match="timeout is"):
        deadline_after(timeout, 100.0)


# A token that is refused


def test_a_token_that_is_refused_is_read_anew_at_once(time: FakeTime) -> None:
    waited(time, in_turn(RUNNING, refused(), RUNNING, RUNNING))
    assert time.outcome is FINISHED
    assert time.refreshed == [False, False, True, False, False]
    assert time.gaps[1] == 0


def test_a_token_that_is_refused_after_it_was_read_anew_is_final(time: FakeTime) -> None:
    first, second = refused(), refused()
    assert waited(time, in_turn(RUNNING, first, second)).error is second
    assert len(time.asked) == 3


def test_a_token_can_be_changed_again_and_again(time: FakeTime) -> None:
    assert waited(time, in_turn(*[refused(), RUNNING] * 5)).outcome is FINISHED


@pytest.mark.parametrize("error", [down(), missing(), DataloreUnexpectedResponseError("a login page")])
def test_what_comes_after_the_token_was_read_anew_means_what_it_always_means(
    time: FakeTime, error: DataloreError
) -> None:
    assert waited(time, in_turn(refused(), error)).outcome is FINISHED
    assert time.refreshed == [False, True, False]
    assert time.gaps[1] >= MIN_POLL_INTERVAL / 2


@pytest.mark.parametrize("error", REFUSALS)
def test_a_connection_that_cannot_be_read_anew_ends_the_wait(time: FakeTime, error: DataloreError) -> None:
    assert waited(time, in_turn(refused(), error)).error is error


# A run that Datalore does not know


@pytest.mark.parametrize("chance", CHANCES)
def test_a_new_run_that_is_not_listed_yet_is_waited_for(chance: float) -> None:
    time = waited(FakeTime(chance), lambda now: missing() if now < NEW_RUN_GRACE - 2 else FINISHED)
    assert time.outcome is FINISHED
    assert min(time.gaps) >= MIN_POLL_INTERVAL


def test_a_run_that_is_never_listed_is_given_up_after_a_short_grace(time: FakeTime) -> None:
    waited(time, always(missing()))
    assert isinstance(time.error, DataloreNotFoundError)
    assert NEW_RUN_GRACE <= time.passed <= NEW_RUN_GRACE + 2


def test_a_run_that_was_listed_once_and_is_gone_is_given_up_at_once(time: FakeTime) -> None:
    gone = missing()
    assert waited(time, in_turn(RUNNING, gone)).error is gone
    assert len(time.asked) == 2


def test_the_grace_counts_from_the_submission_and_not_from_the_restart_of_a_wait() -> None:
    time = waited(FakeTime(passed=NEW_RUN_GRACE + 1), always(missing()), since=START)
    assert isinstance(time.error, DataloreNotFoundError)
    assert len(time.asked) == 1


# What is final


@pytest.mark.parametrize("error", REFUSALS)
@pytest.mark.parametrize("before", [[], [RUNNING], [down()], [RUNNING, down()]])
def test_a_refusal_ends_the_wait_at_once(time: FakeTime, error: DataloreError, before: list[Any]) -> None:
    assert waited(time, in_turn(*before, error)).error is error
    assert len(time.asked) == len(before) + 1


def test_an_error_that_nobody_foresaw_is_passed_on_as_it_is(time: FakeTime) -> None:
    bug = KeyError("a bug")
    assert waited(time, in_turn(RUNNING, bug)).error is bug


# One question


def asked(time: FakeTime, answers: Answers, *, max_outage: float = 0.0, grace: float = 0.0) -> FakeTime:
    """One question, carried out."""
    return time.play(retry(look, max_outage, time.clock, grace=grace), answers)


@pytest.mark.parametrize("answer", [RUNNING, FINISHED])
def test_one_good_answer_is_enough_whether_the_run_has_ended_or_not(time: FakeTime, answer: Run) -> None:
    assert asked(time, always(answer)).outcome is answer
    assert (len(time.asked), time.slept) == (1, [])


@pytest.mark.parametrize("error", [down(), down(retry_after=5.0), missing(), *REFUSALS])
def test_a_question_without_patience_is_asked_once(time: FakeTime, error: DataloreError) -> None:
    assert asked(time, always(error)).error is error
    assert (len(time.asked), time.slept) == (1, [])


def test_a_question_bears_an_outage_for_as_long_as_it_is_told(time: FakeTime) -> None:
    assert asked(time, in_turn(down(), down(), then=RUNNING), max_outage=60).outcome is RUNNING
    time = asked(FakeTime(), always(down()), max_outage=60)
    assert isinstance(time.error, DataloreUnavailableError)
    assert time.passed == pytest.approx(60)


def test_a_question_bears_an_unknown_run_for_as_long_as_it_is_told(time: FakeTime) -> None:
    assert asked(time, in_turn(missing(), missing(), then=RUNNING), grace=10).outcome is RUNNING
    time = asked(FakeTime(), always(missing()), grace=10)
    assert isinstance(time.error, DataloreNotFoundError)
    assert time.passed == pytest.approx(10)


def test_a_question_reads_a_refused_token_anew_once(time: FakeTime) -> None:
    assert asked(time, in_turn(refused(), then=RUNNING)).outcome is RUNNING
    assert time.refreshed == [False, True]
    again = refused()
    assert asked(FakeTime(), in_turn(refused(), again)).error is again


@pytest.mark.parametrize("max_outage", [-1, float("nan"), "60", None, True])
def test_a_question_with_an_impossible_patience_is_refused(time: FakeTime, max_outage: Any) -> None:
    asked(time, always(RUNNING), max_outage=max_outage)
    assert isinstance(time.error, DataloreConfigurationError)
    assert time.asked == []


# A submission


def submitted(time: FakeTime, answers: Answers, max_outage: float = 60.0) -> FakeTime:
    """A submission, carried out."""
    return time.play(submit(look, max_outage, time.clock), answers)


def turned_away(retry_after: float | None = None) -> DataloreUnavailableError:
    """The request did not reach Datalore, or was refused unread."""
    return DataloreUnavailableError("busy", status=429, retry_after=retry_after, never_received=True)


def test_the_run_id_ends_a_submission(time: FakeTime) -> None:
    assert submitted(time, always("r1")).outcome == "r1"
    assert (len(time.asked), time.slept) == (1, [])


def test_an_interactive_run_has_an_empty_id(time: FakeTime) -> None:
    assert submitted(time, always("")).outcome == ""


@pytest.mark.parametrize("status", [None, 408, 425, 500, 502, 504, 599])
def test_a_submission_that_may_have_been_received_is_never_repeated(time: FakeTime, status: int | None) -> None:
    error = DataloreUnavailableError("no clear answer", status=status, retry_after=1.0)
    assert submitted(time, always(error)).error is error
    assert len(time.asked) == 1
    assert not error.never_received


def test_a_submission_that_may_have_been_received_after_others_were_not_is_not_repeated(time: FakeTime) -> None:
    error = DataloreUnavailableError("no clear answer", status=500)
    assert submitted(time, in_turn(turned_away(), turned_away(), error)).error is error
    assert len(time.asked) == 3


def test_a_submission_that_was_certainly_not_received_is_repeated(time: FakeTime) -> None:
    assert submitted(time, in_turn(*[turned_away()] * 5, then="r1")).outcome == "r1"
    assert len(time.asked) == 6
    assert min(time.gaps) >= MIN_POLL_INTERVAL / 2


def test_a_submission_obeys_retry_after(time: FakeTime) -> None:
    assert submitted(time, in_turn(turned_away(retry_after=20.0), then="r1")).gaps == [20.0]


def test_a_submission_is_given_up_when_the_outage_has_lasted_too_long(time: FakeTime) -> None:
    submitted(time, always(turned_away()))
    assert isinstance(time.error, DataloreUnavailableError)
    assert time.error.never_received
    assert time.passed == pytest.approx(60)


def test_a_submission_without_patience_is_made_once(time: FakeTime) -> None:
    error = turned_away(retry_after=1.0)
    assert submitted(time, always(error), max_outage=0).error is error
    assert len(time.asked) == 1


@pytest.mark.parametrize(
    "error",
    [
        *REFUSALS,
        refused(),
        missing(),
        DataloreUnexpectedResponseError("a login page"),
        DataloreUntrustedServerError("an unknown certificate", never_received=True),
    ],
)
def test_a_submission_that_is_refused_is_final(time: FakeTime, error: DataloreError) -> None:
    assert submitted(time, always(error)).error is error
    assert len(time.asked) == 1


@pytest.mark.parametrize("max_outage", [-1, float("nan"), "60", None, True])
def test_a_submission_with_an_impossible_patience_is_not_made(time: FakeTime, max_outage: Any) -> None:
    submitted(time, always("r1"), max_outage=max_outage)
    assert isinstance(time.error, DataloreConfigurationError)
    assert time.asked == []
