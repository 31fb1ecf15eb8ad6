"""What earlier runs of a task tell about its next one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.tasks.history import History, LastSuccess


def run(minutes: float = 5, *, success: bool = True, run_id: str = "run-1") -> Run:
    end = datetime.fromtimestamp(1_800_000_000 + 60 * minutes, UTC)
    start = datetime.fromtimestamp(1_800_000_000, UTC)
    return Run.model_validate({"runId": run_id, "startTime": start, "endTime": end, "success": success})


def after(*runs: Run) -> History:
    history = History()
    for each in runs:
        history = history.after(each, {"region": "North"})
    return history


def test_the_last_success_is_kept_over_failures() -> None:
    history = after(run(run_id="good"), run(success=False, run_id="bad"), run(success=False, run_id="worse"))
    assert history.last_success == LastSuccess("good", run().end_time, {"region": "North"})
    assert history.durations == (300.0,)


def test_the_usual_duration_is_the_median_of_the_last_ten_good_runs() -> None:
    assert after(run(1), run(2)).usual_duration is None
    assert after(run(1), run(2), run(60)).usual_duration == 120
    assert after(*[run(60)] * 10, *[run(2)] * 10).usual_duration == 120


def test_a_run_is_unusual_from_three_times_the_usual_duration_on() -> None:
    history = after(*[run(2)] * 5)
    assert not history.is_unusual(360)
    assert history.is_unusual(361)
    assert not History().is_unusual(10**6)


def test_less_than_a_second_more_is_never_unusual() -> None:
    history = after(*[run(0.1 / 60)] * 5)
    assert history.usual_duration == 0.1
    assert not history.is_unusual(1)
    assert history.is_unusual(1.2)


def test_long_parameters_are_not_carried_on() -> None:
    history = History().after(run(), {"text": "x" * 5000})
    assert history.last_success is not None
    assert history.last_success.parameters is None


def test_it_survives_json() -> None:
    history = after(run(1), run(2), run(3, run_id="latest"))
    assert History.read(history.to_json()) == history
    assert History.read(History().to_json()) == History()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.one_of(
        JSON,
        st.fixed_dictionaries({"durations": JSON, "last_success": JSON}),
        st.fixed_dictionaries(
            {"last_success": st.fixed_dictionaries({"run_id": JSON, "ended_at": JSON, "parameters": JSON})}
        ),
    )
)
def test_whatever_a_user_wrote_into_the_xcom_is_read(value: Any) -> None:
    history = History.read(value)
    assert History.read(history.to_json()).durations == history.durations
    history.is_unusual(100)


@pytest.mark.parametrize("ended_at", ["yesterday", 5, None])
def test_an_invalid_time_is_left_out(ended_at: object) -> None:
    history = History.read({"last_success": {"run_id": "r", "ended_at": ended_at}})
    assert history.last_success == LastSuccess("r")
