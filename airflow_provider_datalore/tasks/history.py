"""What earlier runs of a task tell about its next one: how long they took, and which one succeeded last.

XCom ``run`` of each run carries this on from the run before it, so one XCom is read, and none is pushed besides.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_datalore import xcom
from airflow_provider_datalore.durations import in_words

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datalore.api.models import Run

HISTORY_FIELD = "history"
"""The field of XCom ``run`` that holds it."""

UNUSUAL_RATIO = 3.0
"""A run is unusually long if it takes more than this many times the usual time."""

MAX_DURATIONS = 10
"""Number of the last runs from which a usual time is derived, at most."""
_MIN_DURATIONS = 3
"""Minimum number of runs from which a usual time is derived."""
_MIN_DIFFERENCE_SECONDS = 1.0
"""Minimum number of seconds that an unusually long run takes more than usual: what takes no time is not measured."""
_MAX_PARAMETERS_CHARS = 2000

log = logging.getLogger(__name__)


class LastSuccess(NamedTuple):
    """The last run of the task that succeeded.

    :param run_id: its id.
    :param ended_at: when it ended; None if unknown.
    :param parameters: its parameters, with the secrets that Airflow knows masked; None if unknown.
    :param code: the code that it executed, see :mod:`.stored_code`; empty if unknown, as for a run with an id, whose
        executed notebook has it.
    """

    run_id: str
    ended_at: datetime | None = None
    parameters: Mapping[str, Any] | None = None
    code: str = ""


class History(NamedTuple):
    """The earlier runs of a task.

    :param durations: seconds that the last runs took which succeeded, the latest last.
    :param last_success: the last run that succeeded; None if there is none.
    """

    durations: tuple[float, ...] = ()
    last_success: LastSuccess | None = None

    @property
    def usual_duration(self) -> float | None:
        """Seconds that a run usually takes: the median of the last ten; None if there were fewer than three."""
        if len(self.durations) < _MIN_DURATIONS:
            return None
        import statistics

        return statistics.median(self.durations)

    def is_unusual(self, seconds: float) -> bool:
        """Whether a run that takes so long takes far longer than usual."""
        usual = self.usual_duration
        return usual is not None and seconds > UNUSUAL_RATIO * usual and seconds - usual >= _MIN_DIFFERENCE_SECONDS

    def after(self, run: Run, parameters: Mapping[str, Any] | None) -> History:
        """The history with this run, which has ended.

        :param parameters: its parameters, masked; None if unknown.
        """
        return (
            self.after_success(LastSuccess(run.run_id, run.end_time, parameters), run.duration)
            if run.succeeded
            else self
        )

    def after_success(self, last: LastSuccess, took: float | None) -> History:
        """The history with a run that has succeeded.

        :param took: how long it took, in seconds; None if unknown.
        """
        parameters = last.parameters
        durations = self.durations if took is None else (*self.durations, round(took, 1))[-MAX_DURATIONS:]
        if parameters is not None and len(repr(parameters)) > _MAX_PARAMETERS_CHARS:
            parameters = None
        return History(durations, last._replace(parameters=parameters))

    def without_last(self, took: float | None) -> History:
        """The history as it was before the last run, if that one took so long: else the history itself."""
        is_last = took is not None and self.durations[-1:] == (round(took, 1),)
        return self._replace(durations=self.durations[:-1]) if is_last else self

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
                **({"code": last.code} if last.code else {}),
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
        return cls(tuple(map(float, kept[-MAX_DURATIONS:])), _last_success(last))


def earlier_runs(context: Context) -> History:
    """The history of this task (and map index), as its last run with an outcome left it. Never fails.

    To be read before the task pushes XCom ``run`` itself.
    """
    earlier = _earlier(context, xcom.RUN)
    return History.read(earlier.get(HISTORY_FIELD)) if isinstance(earlier, Mapping) else History()


def earlier_interactive_runs(context: Context) -> History:
    """The same for a task whose runs are interactive; to be read before it pushes XCom ``history``."""
    return History.read(_earlier(context, xcom.HISTORY))


def _earlier(context: Context, key: str) -> Any:
    from airflow_provider_datalore.tasks.own_xcoms import earlier_xcom

    try:
        return earlier_xcom(context, key)
    except Exception as error:
        log.debug("Could not read the earlier runs of this task: %s", error)
        return None


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


def report_unusual_duration(run: str, took: float | None, history: History) -> None:
    """Log that a run took far longer than usual.

    :param run: which run, as the beginning of a sentence.
    """
    usual = history.usual_duration
    if took is not None and usual is not None and history.is_unusual(took):
        log.warning(
            "%s took %s, which is %.1f times as long as usual: %s.",
            run,
            in_words(took),
            took / max(usual, 1.0),
            in_words(usual),
        )


def _last_success(value: object) -> LastSuccess | None:
    if not isinstance(value, Mapping) or not isinstance(run_id := value.get("run_id"), str):
        return None
    ended_at, parameters, code = value.get("ended_at"), value.get("parameters"), value.get("code")
    code = code if isinstance(code, str) else ""
    if not run_id and not isinstance(ended_at, str):
        return None
    try:
        ended = datetime.fromisoformat(ended_at) if isinstance(ended_at, str) else None
    except ValueError:
        ended = None
    return LastSuccess(run_id, ended, parameters if isinstance(parameters, Mapping) else None, code)


def _is_duration(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 10**9
