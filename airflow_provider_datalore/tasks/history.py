"""What earlier runs of a task tell about its next one: how long they took, and which one succeeded last.

XCom ``run`` of each run carries this on from the run before it, so one XCom is read, and none is pushed besides.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore import xcom
from airflow_provider_datalore.durations import in_words

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datalore.api.models import Run

FIELD = "history"
"""The field of XCom ``run`` that holds it."""

UNUSUAL = 3.0
"""A run is unusually long if it takes more than this many times the usual time."""

_MAX_DURATIONS = 10
_MIN_DURATIONS = 3
"""Minimum number of runs from which a usual time is derived."""
_MIN_UNUSUAL_SECONDS = 60.0
"""A run that takes less is never reported as unusually long: the start of a machine makes the difference."""
_MAX_PARAMETERS_CHARS = 2000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LastSuccess:
    """The last run of the task that succeeded.

    :param run_id: its id.
    :param ended_at: when it ended; None if unknown.
    :param parameters: its parameters, with the secrets that Airflow knows masked; None if unknown.
    """

    run_id: str
    ended_at: datetime | None = None
    parameters: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class History:
    """The earlier runs of a task.

    :param durations: seconds that the last runs took which succeeded, the latest last.
    :param last_success: the last run that succeeded; None if there is none.
    """

    durations: tuple[float, ...] = ()
    last_success: LastSuccess | None = None

    @property
    def usual_duration(self) -> float | None:
        """Seconds that a run usually takes: the median of the last ten; None if there were fewer than three."""
        import statistics

        return statistics.median(self.durations) if len(self.durations) >= _MIN_DURATIONS else None

    def is_unusual(self, seconds: float) -> bool:
        """Whether a run that takes so long takes far longer than usual."""
        usual = self.usual_duration
        return usual is not None and seconds > max(UNUSUAL * usual, _MIN_UNUSUAL_SECONDS)

    def after(self, run: Run, parameters: Mapping[str, Any] | None) -> History:
        """The history with this run, which has ended.

        :param parameters: its parameters, masked; None if unknown.
        """
        if not run.succeeded:
            return self
        took = run.duration
        durations = self.durations if took is None else (*self.durations, round(took, 1))[-_MAX_DURATIONS:]
        if parameters is not None and len(repr(parameters)) > _MAX_PARAMETERS_CHARS:
            parameters = None
        return History(durations, LastSuccess(run.run_id, run.end_time, parameters))

    def to_json(self) -> dict[str, Any]:
        """The history as JSON."""
        last = self.last_success
        described = (
            None
            if last is None
            else {
                "run_id": last.run_id,
                "ended_at": last.ended_at.isoformat() if last.ended_at else None,
                "parameters": None if last.parameters is None else dict(last.parameters),
            }
        )
        return {"durations": list(self.durations), "last_success": described}

    @classmethod
    def read(cls, value: object) -> History:
        """Read a history from JSON, which users may have edited: what is invalid is left out."""
        if not isinstance(value, Mapping):
            return cls()
        durations, last = value.get("durations"), value.get("last_success")
        kept = [each for each in durations if _is_duration(each)] if isinstance(durations, list) else []
        return cls(tuple(map(float, kept[-_MAX_DURATIONS:])), _last_success(last))


def earlier_runs(context: Context) -> History:
    """The history of this task (and map index), as its last run with an outcome left it. Never fails.

    To be read before the task pushes XCom ``run`` itself.
    """
    from airflow_provider_datalore.tasks.own_xcoms import earlier_xcom

    try:
        earlier = earlier_xcom(context, xcom.RUN)
    except Exception as error:
        log.debug("Could not read the earlier runs of this task: %s", error)
        return History()
    return History.read(earlier.get(FIELD)) if isinstance(earlier, Mapping) else History()


def masked_parameters(parameters: object) -> dict[str, Any] | None:
    """The parameters of a run as JSON, without the secrets that Airflow knows; None if only their names are known."""
    if not isinstance(parameters, Mapping):
        return None
    if not parameters:
        return {}
    from airflow.providers.common.compat.sdk import redact

    from airflow_provider_datalore.api.parameters import to_datalore
    from airflow_provider_datalore.api.text import reserved_key, storable

    try:
        masked: Any = storable(redact(to_datalore(parameters)))
    except Exception as error:
        log.debug("Could not keep the parameters of the run: %s", error)
        return None
    return masked if isinstance(masked, dict) and reserved_key(masked) is None else None


def report_unusual_duration(run: Run, history: History) -> None:
    """Log that a run took far longer than usual."""
    took, usual = run.duration, history.usual_duration
    if took is not None and usual is not None and history.is_unusual(took):
        log.warning(
            "Run %s took %s, which is %.1f times as long as usual: %s.",
            run.run_id,
            in_words(took),
            took / max(usual, 1.0),
            in_words(usual),
        )


def _last_success(value: object) -> LastSuccess | None:
    if not isinstance(value, Mapping) or not isinstance(run_id := value.get("run_id"), str) or not run_id:
        return None
    ended_at, parameters = value.get("ended_at"), value.get("parameters")
    try:
        ended = datetime.fromisoformat(ended_at) if isinstance(ended_at, str) else None
    except ValueError:
        ended = None
    return LastSuccess(run_id, ended, parameters if isinstance(parameters, Mapping) else None)


def _is_duration(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 10**9
