"""What isolated runs show: the forms of their status, parameters and fields, failures, and parallel runs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_datalore.api import run_api
from airflow_provider_datalore.api.calls import Response
from airflow_provider_datalore.api.models import Artifact, Run
from airflow_provider_datalore.api.notebook_id import NotebookId
from airflow_provider_datalore.cli.probe.exchange import Exchange, checked, wait_until
from airflow_provider_datalore.cli.probe.parameters import KnownParameter
from airflow_provider_datalore.cli.probe.record import Record
from airflow_provider_datalore.exceptions import DataloreError

_TIMES = {
    "iso": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    "iso-fraction": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"),
    "iso-offset": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?[+-]\d\d:?\d\d"),
}
_ACCEPTED = range(200, 300)
_NEVER = datetime.min.replace(tzinfo=UTC)
_UNKNOWN_NAME = "airflow_probe_unknown"
_MAX_INVISIBLE = 120.0
"""Seconds after which a run that Datalore does not list is given up."""


@dataclass
class Watched:
    """A run, and what Datalore said of it while it ran.

    :param run_id: its id.
    :param started_at: when Datalore confirmed it, in monotonic seconds.
    :param seen: each description, from the first to the last; the last one is that of the ended run.
    :param missing_until: when Datalore last did not know it; None if it always did.
    :param visible_at: when Datalore first knew it.
    """

    run_id: str
    started_at: float
    seen: list[dict[str, Any]] = field(default_factory=list)
    missing_until: float | None = None
    visible_at: float | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the last description is that of a run that has ended."""
        return bool(self.seen) and bool(self.seen[-1].get("endTime"))

    @property
    def unended(self) -> list[dict[str, Any]]:
        """The descriptions before the end."""
        return [each for each in self.seen if not each.get("endTime")]

    @property
    def statuses(self) -> list[str]:
        """The statuses before the end, in their order, each once; empty text for none."""
        return list(dict.fromkeys(str(each.get("status") or "") for each in self.unended))

    def parsed(self) -> Run:
        """The ended run as the package reads it."""
        return Run.model_validate({**self.seen[-1], "runId": self.run_id})


class RunExperiments:
    """Experiments with isolated runs of one notebook."""

    def __init__(self, exchange: Exchange, record: Record, notebook: NotebookId) -> None:
        self.exchange = exchange
        self.record = record
        self.notebook = notebook

    def without_a_run(self) -> None:
        """What refusals show that need no run."""
        self.exchange.run(run_api.UNKNOWN_RUN_ID)
        response = self.exchange.without_access()
        if response.status == 401:
            self.record.set("unauthorized_challenge", "www-authenticate" in response.headers)

    def first(self) -> Watched:
        """Run the notebook once, with an empty list of parameters if the server accepts that.

        :raises DataloreError: if the run is refused.
        """
        response = self.exchange.start(self.notebook, parameters=[])
        if response.status == 400:
            plain = self.exchange.start(self.notebook)
            if plain.status in _ACCEPTED:
                self.record.set("parameters", False)
            response = plain
        elif response.status in _ACCEPTED:
            self.record.set("parameters", True)
        watched = self.watch(response)
        self._describe(watched)
        return watched

    def watch(self, response: Response) -> Watched:
        """Wait for the end of a run.

        :param response: the response to the request for it.
        """
        watched = Watched(str(checked(response, "start a run").get("runId")), time.monotonic())
        wait_until(lambda: self._look(watched))
        if not watched.has_ended:
            raise DataloreError(f"Run {watched.run_id} has not ended; it keeps running in Datalore.")
        return watched

    def direct_file_storage_write(self, first: Watched) -> None:
        """Find out whether the server accepts the field directFileStorageWrite."""
        if "directFileStorageWrite" in first.seen[-1]:
            self.record.set("direct_file_storage_write", True)
            return
        response = self.exchange.start(self.notebook, directFileStorageWrite=False)
        self._accepted("direct_file_storage_write", response, True, False)

    def unknown_field(self) -> None:
        """Find out whether a field that Datalore does not document is refused."""
        self._accepted("unknown_field", self.exchange.start(self.notebook, airflowProbe=True), "ignore", "reject")

    def parameters(self, known: KnownParameter | None) -> None:
        """Find out which parameters are refused: unknown ones, numbers, and values of the wrong type.

        :param known: a parameter of the notebook; None if none was found.
        """
        if self.record.get("parameters") is False:
            return
        self._accepted("unknown_parameter", self._start_with(_UNKNOWN_NAME, "1"), "ignore", "reject")
        if known is None:
            self.record.remark("The notebook has no control for a number, so values of parameters were not tried.")
            return
        response = self._start_with(known.name, known.value)
        if response.status == 400:
            response = self._start_with(known.name, str(known.value))
            self._accepted("parameter_values", response, "strings", None)
        else:
            self._accepted("parameter_values", response, "any", None)
        self._accepted("wrong_type", self._start_with(known.name, "airflow-probe"), "ignore", "reject")

    def failing(self, notebook: NotebookId) -> None:
        """Find out what a failed run keeps.

        :param notebook: a notebook that fails.
        """
        response = self.exchange.start(notebook)
        if response.status in (403, 404):
            self.record.set("notebook_token_elsewhere", str(response.status))
        watched = self.watch(response)
        run = watched.parsed()
        if run.succeeded:
            self.record.remark("The notebook of --failing-notebook succeeded, so failed runs were not seen.")
        else:
            self.record.set("failed_artifacts", "kept" if run.artifacts else "dropped")

    def parallel(self, number: int) -> None:
        """Find out how many runs Datalore executes at once, and whether it queues or refuses more."""
        started: list[Watched] = []
        for _ in range(number):
            response = self.exchange.start(self.notebook)
            if response.status not in _ACCEPTED:
                self.record.set("over_limit", str(response.status))
                self.record.set("parallel_limit", len(started) or None)
                self._retry_after(response)
                break
            started.append(Watched(str(checked(response, "start a run").get("runId")), time.monotonic()))
        wait_until(lambda: sum(self._look(each) for each in started) == len(started))
        ended = [each for each in started if each.has_ended]
        self._queue(ended, refused=len(started) < number)

    def download(self, artifact: Artifact) -> Response:
        """Download an artifact."""
        return self.exchange.client.send(run_api.get_artifact(artifact))

    def _start_with(self, name: str, value: object) -> Response:
        return self.exchange.start(self.notebook, parameters=[{"name": name, "value": value}])

    def _accepted(self, name: str, response: Response, yes: object, no: object) -> None:
        """Record whether a request was accepted; if it was, wait for the end of its run."""
        if response.status in _ACCEPTED:
            self.record.set(name, yes)
            self.watch(response)
        elif response.status == 400 and no is not None:
            self.record.set(name, no)
        else:
            self.record.remark(f"{name} was not found out: a run was refused with status {response.status}.")

    def _look(self, watched: Watched) -> bool:
        """Read the status of a run once.

        :return: whether it need not be looked at again.
        """
        if watched.has_ended:
            return True
        now = time.monotonic()
        response = self.exchange.run(watched.run_id)
        if response.status == 404:
            watched.missing_until = now
            return now - watched.started_at > _MAX_INVISIBLE
        if response.status == 429 or response.status >= 500:
            return False
        if watched.visible_at is None:
            watched.visible_at = now
        watched.seen.append(checked(response, "read the status of a run"))
        return watched.has_ended

    def _describe(self, watched: Watched) -> None:
        """Record what one run shows."""
        record, last = self.record, watched.seen[-1]
        if watched.missing_until is None:
            record.set("run_appears_after", 0.0)
        elif watched.visible_at is not None:
            between = (watched.missing_until + watched.visible_at) / 2 - watched.started_at
            record.set("run_appears_after", round(between, 1))
        record.set("times", _form_of_time(last.get("endTime")))
        if last.get("notebookId") in (str(self.notebook), self.notebook.id):
            record.set("notebook_id_form", "full" if last["notebookId"] == str(self.notebook) else "short")
        record.set("read_only", "present" if "readOnly" in last else "absent")
        if not watched.unended:
            record.remark("The run ended before its status could be read: use a notebook that takes some seconds.")
            return
        running = watched.unended[-1]
        statuses = watched.statuses
        record.set("running_status", statuses[-1])
        if len(statuses) > 1:
            record.set("queued_status", statuses[0])
            record.set("queued_start_time", _presence(watched.unended[0], "startTime", "submitted"))
        for status in statuses[1:-1]:
            record.remark(f"Between waiting and running, a run has the status {status!r:.60}.")
        record.set("running_success", {False: "false"}.get(running.get("success", "absent"), _null(running, "success")))
        record.set("running_end_time", _null(running, "endTime"))
        record.set("running_artifacts", "empty" if running.get("artifacts") == [] else _null(running, "artifacts"))

    def _queue(self, ended: list[Watched], *, refused: bool) -> None:
        """Record what the ended runs show of those that waited for others."""
        times = [(run.start_time, run.end_time) for run in (each.parsed() for each in ended)]
        spans = [(start, end) for start, end in times if start is not None and end is not None]
        at_once = max((_running_at(start, spans) for start, _ in spans), default=0)
        if not refused and at_once < len(ended):
            self.record.set("over_limit", "queue")
            self.record.set("parallel_limit", at_once or None)
        elif not refused:
            self.record.remark(f"All {len(ended)} runs were executed at once: the limit is higher, or there is none.")
        last = max(ended, key=lambda each: each.parsed().start_time or _NEVER, default=None)
        if last is None or refused or at_once == len(ended) or not last.unended:
            return
        self.record.set("queued_status", last.statuses[0])
        self.record.set("queued_start_time", _presence(last.unended[0], "startTime", "submitted"))

    def _retry_after(self, response: Response) -> None:
        value = response.headers.get("retry-after", "")
        if re.fullmatch(r"\d+(\.\d+)?", value):
            self.record.set("retry_after", float(value))
        elif value:
            self.record.remark("The header Retry-After of a refused run is not a number of seconds.")


def _form_of_time(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return "epoch-ms"
    forms = [name for name, pattern in _TIMES.items() if isinstance(value, str) and pattern.fullmatch(value)]
    return forms[0] if forms else f"of the form {re.sub(r'[0-9]', '0', str(value))!r:.40}"


def _null(data: dict[str, Any], name: str) -> str:
    """Whether a field is null or absent; its value is another one otherwise, which no variant has."""
    if name not in data:
        return "absent"
    return "null" if data[name] is None else f"{type(data[name]).__name__}"


def _presence(data: dict[str, Any], name: str, present: str) -> str:
    return present if data.get(name) else _null(data, name)


def _running_at(moment: datetime, spans: Iterable[tuple[datetime, datetime]]) -> int:
    return sum(start <= moment < end for start, end in spans)
