"""What a clear or a retry of a failed task does, in this Airflow and with these options."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore.api.conditions import AT_LIMIT, RAISE_LIMIT
from airflow_provider_datalore.exceptions import (
    DataloreConfigurationError,
    DataloreError,
    DataloreNotFoundError,
    DataloreOutputError,
    DataloreRunOverlapError,
    DataloreRunTimeoutError,
    DataloreStorageError,
    DataloreSubmissionUnknownError,
    RunState,
)
from airflow_provider_datalore.tasks.clearing import with_kept_state
from airflow_provider_datalore.tasks.limits import Limit, earliest_limit
from airflow_provider_datalore.tasks.retry_rules import RetryRules
from airflow_provider_datalore.tasks.retrying import users_policy

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datalore.api.models import Run
    from airflow_provider_datalore.tasks.run_store import RunStore


class Kind(Enum):
    """What a task does with a notebook."""

    RUNS = "runs it"
    WAITS = "waits for a run that another task started"
    READS = "reads the artifacts of a run"
    FILES = "transfers files"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a task's run when the task fails.

    :param kind: what the task does.
    :param notebook_url: the address of the notebook; empty if it is unknown.
    :param run_id: the run; empty if the task has not started or found one.
    :param is_started: whether the task has started a run, with an id or without.
    :param is_stored: whether a retry or a clear of this task uses that run.
    :param why_not: why it does not, as the end of a sentence; empty if it does, or the reason is the error itself.
    :param limit: the time limit that ends the wait.
    :param run: the finished run whose artifacts the task reads.
    :param resumes_at: the cell at which a retry or a clear resumes; empty if it runs the notebook from the start.
    """

    kind: Kind
    notebook_url: str = ""
    run_id: str = ""
    is_started: bool = False
    is_stored: bool = False
    why_not: str = ""
    limit: Limit | None = None
    run: Run | None = None
    resumes_at: str = ""


def complete(error: DataloreError, facts: Facts, raised: BaseException, context: Context) -> None:
    """Complete an error: its state, the address of the notebook, the time limit, and what a clear does.

    :param raised: the exception that Airflow gets: the error itself, or Airflow's own for a time limit.
    """
    if not error.has_state:
        error.set_state(*_state(error, facts))
    error.notebook_url = error.notebook_url or facts.notebook_url
    if isinstance(error, DataloreRunTimeoutError) and facts.limit is not None:
        error.message = error.message.replace(AT_LIMIT, f"after {facts.limit}", 1)
        if facts.limit.early and raised is error:
            error.message += f" The task ended {facts.limit.early:g} s before {facts.limit.name}, to report this."
        error.to_do = error.to_do.replace(RAISE_LIMIT, f"Raise {facts.limit.name} if the notebook needs longer.")
    error.to_do = " ".join(filter(None, [error.to_do, _next(error, facts), _retry(raised, context)]))


def _state(error: DataloreError, facts: Facts) -> tuple[RunState, str, str]:
    """The state of an error that was raised where the run is not known: state, address, sentence."""
    url = facts.notebook_url
    if facts.kind is Kind.FILES:
        return RunState.NOT_STARTED, url, "not started: this task does not run the notebook."
    if facts.run is not None and facts.run.is_finished:
        state = RunState.SUCCEEDED if facts.run.succeeded else RunState.FAILED
        return state, url, f"the notebook {state.value}: run {facts.run_id}."
    is_open = isinstance(error, DataloreRunTimeoutError) or error.state in (RunState.UNKNOWN, RunState.NOT_STARTED)
    if not is_open:
        return error.state, url, ""
    # What is not valid is found before anything is sent.
    is_refused = isinstance(error, DataloreConfigurationError) and not facts.run_id
    if (facts.is_started and not is_refused) or facts.kind is not Kind.RUNS:
        which = f"run {facts.run_id}" if facts.run_id else "its run"
        return RunState.MAY_BE_RUNNING, url, f"the notebook may be running: the state of {which} was not read."
    return RunState.NOT_STARTED, url, ""


def _next(error: DataloreError, facts: Facts) -> str:
    """What a clear of the task does."""
    if isinstance(error, DataloreConfigurationError) and error.state is RunState.NOT_STARTED:
        return "" if error.to_do else "Correct it in the DAG or in the connection."
    if isinstance(error, DataloreSubmissionUnknownError):
        return "Airflow does not retry it by itself."
    if facts.kind is Kind.RUNS:
        return _next_of_runner(error, facts)
    if facts.kind is Kind.WAITS and error.state is RunState.FAILED:
        return "Clear the task that starts the run: a clear of this one only reads the same run again."
    does = {
        Kind.FILES: "transfers the file again",
        Kind.READS: "reads the same run again, and runs nothing",
        Kind.WAITS: "reads the same run again, and starts none",
    }[facts.kind]
    return f"Then clear this task: it {does}."


def _next_of_runner(error: DataloreError, facts: Facts) -> str:
    state = error.state
    if state in (RunState.NOT_STARTED, RunState.FAILED):
        kept, does = "", "runs the notebook again" if state is RunState.FAILED else "runs the notebook"
        if facts.resumes_at and state is RunState.FAILED:
            kept = with_kept_state()
            does = f"resumes at {facts.resumes_at}, if the kernel is still as this try left it"
        return f"Then clear this task{kept}: it {does}."
    if state is RunState.SUCCEEDED:
        return _after_success(error, facts)
    if isinstance(error, DataloreRunOverlapError):
        return "A clear of this task runs the notebook again."
    if facts.is_stored and not isinstance(error, DataloreNotFoundError):
        lead = "Or" if isinstance(error, DataloreRunTimeoutError) else "Then"
        return (
            f"{lead} clear this task{with_kept_state()}: it waits for this run and starts no other, "
            "unless this one has failed."
        )
    other = f"A clear of this task starts another run{facts.why_not}."
    if state is RunState.UNKNOWN:
        return other
    return " ".join(filter(None, [other, _instead("DataloreRunSensor", "waits for this one", facts)]))


def _after_success(error: DataloreError, facts: Facts) -> str:
    if not facts.is_stored:
        again = f"A clear of this task runs the notebook again{facts.why_not}."
        return " ".join(
            filter(None, [again, _instead("DataloreDownloadArtifactsOperator", "saves this run's files", facts)])
        )
    if isinstance(error, DataloreOutputError):
        return (
            f"Then clear this task{with_kept_state()}: with other outputs it reads this run again, "
            "with the same ones it runs the notebook again."
        )
    does = "writes this run's files" if isinstance(error, DataloreStorageError) else "uses this run"
    return f"Then clear this task{with_kept_state()}: it {does} and does not run the notebook again."


def _instead(operator: str, does: str, facts: Facts) -> str:
    return f"{operator}(run_id={facts.run_id!r}) {does} instead." if facts.run_id else ""


def _retry(raised: BaseException, context: Any) -> str:
    """Whether Airflow retries the task by itself, which has the same effect as a clear."""
    from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

    task = context.get("task")
    decision = RetryRules.of(task).decide(raised)
    is_final = decision is not None and not decision.is_retried
    if isinstance(raised, (AirflowFailException, AirflowSensorTimeout, AirflowSkipException)) and not is_final:
        return ""
    task_instance: Any = context["ti"]
    number, last = (getattr(task_instance, name, None) for name in ("try_number", "max_tries"))
    if not isinstance(number, int) or not isinstance(last, int) or not last or number > last:
        return ""
    if decision is not None and is_final:
        return f"Airflow does not retry it by itself: {decision.reason}."
    why = f", since {decision.reason}" if decision is not None else ""
    if users_policy(task) is not None:
        why += ", unless its retry_policy decides otherwise"
    return f"Airflow retries this task by itself{why} (try {number + 1} of {last + 1}), with the same effect."


def facts_of_runner(task: Any, store: RunStore, run_id: str, notebook_url: str, *, is_started: bool) -> Facts:
    """The facts of a task that runs a notebook.

    :param run_id: what the store has for the run: its id, or for an interactive run the snapshot.
    """
    is_stored = store.holds(run_id)
    return Facts(
        Kind.RUNS,
        notebook_url=notebook_url,
        run_id="" if run_id.startswith("{") else run_id,
        is_started=is_started,
        is_stored=is_stored,
        why_not="" if is_stored else store.why_not,
        limit=earliest_limit(task.timeout, task.execution_timeout),
    )
