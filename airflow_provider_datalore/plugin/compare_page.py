"""Two runs of a task beside each other: parameters, returned values and durations; their notebooks are in a frame."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_datalore.api.models import Run
from airflow_provider_datalore.api.text import one_line
from airflow_provider_datalore.durations import in_words
from airflow_provider_datalore.exceptions import DataloreError
from airflow_provider_datalore.notebooks.timing import notable_ratio
from airflow_provider_datalore.plugin.rendered_notebooks import NotDisplayableError
from airflow_provider_datalore.plugin.runs import TabClient
from airflow_provider_datalore.plugin.tasks import NotebookTask, TaskKind

_MAX_ROWS = 100
_MAX_CHARS = 300
_MISSING = object()
_INTERACTIVE = (
    "An interactive run leaves no copy of the notebook, so the cells of two such runs cannot be compared. The outputs "
    "are in the notebook itself."
)


@dataclass(frozen=True, slots=True)
class Difference:
    """A parameter or a value of both runs, as text.

    :param is_changed: whether the two differ.
    """

    name: str
    before: str
    now: str
    is_changed: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A run as Datalore reports it, and who requested it.

    :param problem: why there is no run; empty if there is.
    """

    client: TabClient | None = None
    run: Run | None = None
    problem: str = ""


def find_run(task: NotebookTask, user: str) -> Found:
    """The run of a task. Does not fail."""
    if task.kind is TaskKind.INTERACTIVE:
        return Found(problem=_INTERACTIVE)
    if task.conn_id is None or task.run_id is None:
        return Found(problem="Airflow does not know which run in Datalore it started. See its own tab.")
    try:
        client = TabClient(task.conn_id, task.team, user)
        run = client.run(task)
    except DataloreError as error:
        return Found(problem=error.message)
    return Found(client, run) if run.is_finished else Found(problem="The notebook is still running.")


def page(before: NotebookTask, now: NotebookTask, theme: str, user: str) -> bytes:
    """The comparison of the two notebooks as an HTML page, compressed.

    :raises NotDisplayableError: if a side has no run, or its notebook cannot be compared.
    :raises DataloreError: if Datalore does not return a notebook.
    """
    earlier, later = find_run(before, user), find_run(now, user)
    for side, found in (("earlier", earlier), ("later", later)):
        if found.problem:
            raise NotDisplayableError(f"The {side} run cannot be compared. {found.problem}")
    assert earlier.client is not None
    assert later.client is not None
    assert earlier.run is not None
    assert later.run is not None
    return later.client.comparison(earlier.run, later.run, theme, earlier.client)


def note(before: NotebookTask, now: NotebookTask) -> str:
    """What the user should know of the comparison; empty if there is nothing."""
    if before.notebook_id and now.notebook_id and before.notebook_id != now.notebook_id:
        return f"The two runs ran different notebooks: {before.notebook_id} before, {now.notebook_id} now."
    return ""


def durations(before: NotebookTask, now: NotebookTask, user: str) -> Iterator[Difference]:
    """How long the two runs took."""
    found = [find_run(task, user).run for task in (before, now)]
    took = [run.duration if run is not None else None for run in found]
    if took != [None, None]:
        yield _duration("Duration of the run", *took)
    yield _duration("Duration of the task", _seconds(before), _seconds(now))


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    """Parameters or values by name, those that differ first."""
    rows = [_difference(name, before.get(name, _MISSING), now.get(name, _MISSING)) for name in {**before, **now}]
    yield from sorted(rows, key=lambda row: (not row.is_changed, row.name))[:_MAX_ROWS]


def _difference(name: str, before: Any, now: Any) -> Difference:
    is_changed = before is _MISSING or now is _MISSING or _json(before) != _json(now)
    return Difference(one_line(str(name))[:_MAX_CHARS], _text(before), _text(now), is_changed)


def _duration(name: str, before: float | None, now: float | None) -> Difference:
    old, new = ("unknown" if each is None else in_words(each) for each in (before, now))
    return Difference(name, old, new, notable_ratio(before, now) is not None)


def _text(value: Any) -> str:
    if value is _MISSING:
        return "not set"
    text = one_line(value if isinstance(value, str) else _json(value))
    return text if len(text) <= _MAX_CHARS else f"{text[:_MAX_CHARS]}…"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _seconds(task: NotebookTask) -> float | None:
    if task.start_date is None or task.end_date is None:
        return None
    return max(0.0, (task.end_date - task.start_date).total_seconds())
