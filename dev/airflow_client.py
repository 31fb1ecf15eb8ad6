"""A client for the REST API of a running Airflow: v2 of Airflow 3, v1 of Airflow 2.11."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

from dev.processes import wait_for

FINISHED_RUN = {"success", "failed"}
ABOUT_THE_TASK = {"ti_id", "dag_id", "run_id", "task_id", "map_index", "try_number"}
ABOUT_THE_LINE = {"timestamp", "event", "level", "logger", "filename", "lineno", "error_detail"}
NOT_SHOWN = ABOUT_THE_TASK | ABOUT_THE_LINE
"""Fields of structured log entries that are left out: the reader of a task's log knows them, or sees them elsewhere."""


class AirflowApiError(Exception):
    """Airflow returned an error."""

    def __init__(self, response: requests.Response) -> None:
        self.status = response.status_code
        request = f"{response.request.method} {response.url}"
        super().__init__(f"{request} returned {response.status_code}: {response.text[:500]}")


@dataclass(frozen=True)
class TaskState:
    """The state of one task instance at one moment. `map_index` is -1 if the task is not mapped."""

    task_id: str
    map_index: int
    state: str | None
    try_number: int

    @property
    def name(self) -> str:
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"


def loopback_session() -> requests.Session:
    """A session for servers on this machine: it uses neither a proxy nor the developer's ~/.netrc."""
    session = requests.Session()
    session.trust_env = False
    return session


class AirflowClient:
    """The calls that tests and the demo need.

    :param url: where its API server (its webserver before Airflow 3) listens
    :param major: 2 or 3, the Airflow's major version
    """

    request_timeout = 30.0
    """Seconds for a request."""

    def __init__(self, url: str, major: int) -> None:
        self.url = url
        self.major = major
        self._session = loopback_session()

    def request(self, method: str, path: str, *, accept: str = "application/json", **options: Any) -> Any:
        """Sends one request; returns the JSON of the response, or its text if it is not JSON.

        :raises AirflowApiError: if the response is an error
        """
        url = f"{self.url}/api/{'v2' if self.major >= 3 else 'v1'}{path}"
        response = self._session.request(
            method, url, headers={"Accept": accept}, timeout=self.request_timeout, **options
        )
        if response.status_code == 401 and "Authorization" not in self._session.headers:
            # Airflow 3.0 and 3.1 require a token even if every user is an administrator, and give one to every user.
            token = self._session.get(f"{self.url}/auth/token", timeout=30).json()["access_token"]
            self._session.headers["Authorization"] = f"Bearer {token}"
            return self.request(method, path, accept=accept, **options)
        if not response.ok:
            raise AirflowApiError(response)
        is_json = response.content and "json" in response.headers.get("Content-Type", "")
        return response.json() if is_json else response.text

    def health(self) -> dict[str, str | None]:
        """The state of each component: `healthy`, `unhealthy`, or None if it has not reported yet."""
        health = self.request("GET", "/monitor/health" if self.major >= 3 else "/health")
        return {component: details.get("status") for component, details in health.items() if details}

    def import_errors(self) -> list[str]:
        """The error of each DAG file that cannot be imported."""
        errors = self.request("GET", "/importErrors")["import_errors"]
        return [f"{error['filename']}\n{error['stack_trace']}" for error in errors]

    def dag_ids(self) -> set[str]:
        return {dag["dag_id"] for dag in self.request("GET", "/dags", params={"limit": 100})["dags"]}

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Starts a DAG run and returns its id."""
        body: dict[str, Any] = {"conf": dict(conf or {})}
        if self.major >= 3:
            body["logical_date"] = None
        run_id: str = self.request("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"]
        return run_id

    def dag_runs(self, dag_id: str) -> list[str]:
        """The ids of all runs of a DAG."""
        return [run["dag_run_id"] for run in self.request("GET", f"/dags/{dag_id}/dagRuns")["dag_runs"]]

    def run_state(self, dag_id: str, run_id: str) -> str:
        """`queued`, `running`, `success` or `failed`."""
        state: str = self.request("GET", _run(dag_id, run_id))["state"]
        return state

    def task_states(self, dag_id: str, run_id: str) -> list[TaskState]:
        """All task instances of a DAG run, sorted by name."""
        listed = self.request("GET", f"{_run(dag_id, run_id)}/taskInstances", params={"limit": 100})
        states = [
            TaskState(row["task_id"], row["map_index"], row["state"], row["try_number"])
            for row in listed["task_instances"]
        ]
        return sorted(states, key=lambda task: (task.task_id, task.map_index))

    def watch(self, dag_id: str, run_id: str, timeout: float) -> Iterator[TaskState]:
        """Yields each change of a task instance's state until the run has ended.

        :param timeout: seconds, for the whole run
        """
        seen: set[TaskState] = set()

        def changes() -> tuple[bool, list[TaskState]] | None:
            ended = self.run_state(dag_id, run_id) in FINISHED_RUN
            new = [task for task in self.task_states(dag_id, run_id) if task.state and task not in seen]
            return (ended, new) if ended or new else None

        ended = False
        while not ended:
            ended, new = wait_for(f"The run of {dag_id} ends", changes, timeout)
            seen.update(new)
            yield from new

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float) -> str:
        """Waits until a run has ended and returns its state.

        :param timeout: seconds
        """
        for _ in self.watch(dag_id, run_id, timeout):
            pass
        return self.run_state(dag_id, run_id)

    def wait_for_task(self, dag_id: str, run_id: str, task_id: str, state: str, timeout: float) -> None:
        """Waits until a task, or one of its mapped instances, is in a state.

        :param timeout: seconds
        """
        wait_for(
            f"Task {task_id} of {dag_id} is {state}",
            lambda: any(t.task_id == task_id and t.state == state for t in self.task_states(dag_id, run_id)),
            timeout,
        )

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """The XCom value of a task. Text that contains a JSON object or list is parsed."""
        response = self.request(
            "GET",
            f"{_task(dag_id, run_id, task_id)}/xcomEntries/{quote(key, safe='')}",
            params={"map_index": map_index, "stringify": "false"},
        )
        return response["value"]

    def links(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, str | None]:
        """The buttons that Airflow's UI shows for a task: name and address."""
        path = f"{_task(dag_id, run_id, task_id)}/links"
        if self.major >= 3:
            links = self.request("GET", path, params={"map_index": map_index})["extra_links"]
        else:
            links = self.request("GET", path, params={"map_index": map_index} if map_index >= 0 else {})
        return dict(links)

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> str:
        """The log of one try of a task as text."""
        response = self.request(
            "GET",
            f"{_task(dag_id, run_id, task_id)}/logs/{try_number}",
            params={"full_content": "true", "map_index": map_index},
            accept="application/json" if self.major >= 3 else "text/plain",
        )
        if isinstance(response, str):
            return response
        return "\n".join(_log_line(entry) for entry in response["content"])

    def failure(self, dag_id: str, run_id: str, lines: int = 25) -> str:
        """Explains why a run failed: the state of each task, and the end of the log of each failed task."""
        tasks = self.task_states(dag_id, run_id)
        report = [f"{task.name} is {task.state}, try {task.try_number}" for task in tasks]
        for task in tasks:
            if task.state == "failed":
                log = self.task_log(dag_id, run_id, task.task_id, task.try_number, task.map_index)
                report += [f"The end of the log of {task.name}:", *log.splitlines()[-lines:]]
        return "\n".join(report)

    def clear(self, dag_id: str, run_id: str, task_id: str, **options: Any) -> None:
        """Clears a task, as the button in the UI does, so that it runs again.

        :param options: further fields of the request
        """
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": [task_id],
            "only_failed": False,
            "reset_dag_runs": True,
        }
        self.request("POST", f"/dags/{dag_id}/clearTaskInstances", json=body | options)

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int = -1) -> None:
        """Marks a task `success` or `failed`, as the button in the UI does."""
        path = _task(dag_id, run_id, task_id) + (f"/{map_index}" if map_index >= 0 else "")
        body: dict[str, Any] = {"new_state": state}
        if self.major < 3:
            body["dry_run"] = False
        self.request("PATCH", path, json=body)


def _run(dag_id: str, run_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"


def _task(dag_id: str, run_id: str, task_id: str) -> str:
    return f"{_run(dag_id, run_id)}/taskInstances/{task_id}"


def _log_line(entry: Any) -> str:
    """One entry of a structured log in one line, followed by the traceback of its error."""
    if not isinstance(entry, dict):
        return str(entry)
    line = f"{entry.get('timestamp') or ''} {str(entry.get('level') or '').upper()} {entry.get('event', '')}"
    details = {name: value for name, value in entry.items() if name not in NOT_SHOWN and value is not None}
    if details:
        line += f" {json.dumps(details)}"
    return "\n".join([line.strip(), *(_traceback(error) for error in entry.get("error_detail") or [])])


def _traceback(error: dict[str, Any]) -> str:
    frames = [f"  {frame['filename']}:{frame['lineno']} in {frame['name']}" for frame in error["frames"]]
    return "\n".join([*frames, f"{error['exc_type']}: {error['exc_value']}"])
