"""What a scenario is played on: Airflow, Datalore, and the runs of both that belong to the scenario."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import pytest

from dev.airflow_client import FINISHED_RUN
from tests.faults.airflows import PATIENCE, FaultyAirflow
from tests.faults.datalore import FaultyDatalore, Rule
from tests.faults.table import Scenario

log = logging.getLogger(__name__)
ENDED = {"success", "failed", "skipped", "upstream_failed"}


class Task:
    """One task that is not mapped, in one run of its DAG."""

    def __init__(self, airflow: FaultyAirflow, dag_id: str, dag_run: str, task_id: str) -> None:
        self._airflow = airflow
        self._where = dag_id, dag_run, task_id

    @property
    def state(self) -> str | None:
        return self._airflow.task_state(*self._where)[0]

    def wait_until(self, state: str, try_number: int = 1) -> None:
        """Waits until a try of the task is in a state; fails, with its log, when it ends in another."""

        def arrived() -> bool:
            found = self._airflow.task_state(*self._where)
            if found[1] == try_number and found[0] in ENDED and found[0] != state:
                pytest.fail(f"Try {try_number} ended {found[0]} and not {state}.\n{self.log(try_number)}")
            return found == (state, try_number)

        _, _, task_id = self._where
        self._airflow.wait(f"Try {try_number} of {task_id} is {state}", arrived)

    def wait_for_log(self, text: str, try_number: int = 1, timeout: float = PATIENCE) -> None:
        """Waits until the log of a try holds a text."""
        self._airflow.wait(
            f"The log says {text!r}",
            lambda: self._airflow.log_contains(*self._where, text, try_number),
            timeout,
        )

    def log(self, try_number: int = 1) -> str:
        return self._airflow.task_log(*self._where, try_number)

    def clear(self) -> None:
        """Clears the task, and keeps what it stored; one that has ended, once its run has ended too.

        Airflow's scheduler ends a run that it saw whole before the task was cleared, and then never starts the task.
        """
        dag_id, dag_run, _ = self._where
        if self.state in ENDED:
            self._airflow.wait(
                f"The run of {dag_id} ends", lambda: self._airflow.run_state(dag_id, dag_run) in FINISHED_RUN
            )
        asks = tuple(map(int, self._airflow.version.split(".")[:2])) >= (3, 4)
        options: dict[str, Any] = {"keep_task_state": True} if asks else {}
        self._airflow.clear(*self._where, **options)

    def mark(self, state: str) -> None:
        self._airflow.mark(*self._where, state)

    def kill_worker(self) -> None:
        """Kills (SIGKILL) the process that runs the task and the worker that it belongs to."""
        self._airflow.kill_worker(*self._where)

    def links(self) -> dict[str, str | None]:
        return self._airflow.links(*self._where)

    def xcom(self, key: str = "return_value") -> Any:
        return self._airflow.xcom(*self._where, key)


class Stage:
    """Airflow and Datalore for one scenario. Afterwards Datalore behaves, and all that was held is let go.

    :param name: names the runs of the scenario.
    """

    def __init__(self, airflow: FaultyAirflow, datalore: FaultyDatalore, scenario: Scenario, name: str) -> None:
        self.airflow = airflow
        self.datalore = datalore
        self.scenario = scenario
        self.name = re.sub(r"\W+", "-", name)
        self._names = {self.name, f"{self.name}-deferred", f"{self.name}-waiting"}
        self._started: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.scenario.passed:
                self.must_keep_secrets()
            else:
                for dag_id, dag_run in self._started:
                    log.error("%s %s:\n%s", dag_id, dag_run, self.airflow.failure(dag_id, dag_run))
        finally:
            self.datalore.road.restore()
            self.datalore.emulator.clear_faults()
            for name in self._names:
                self.datalore.let_go(name)

    def start(self, dag_id: str) -> str:
        """Starts a run of a DAG.

        :return: its id.
        """
        dag_run = self.airflow.trigger(dag_id, {"name": self.name})
        self._started.append((dag_id, dag_run))
        return dag_run

    def start_task(self, dag_id: str, task_id: str) -> Task:
        """Starts a run of a DAG with one task that matters."""
        return Task(self.airflow, dag_id, self.start(dag_id), task_id)

    def start_in_place(self, dag_id: str, task_id: str) -> Task:
        """Starts a run of a DAG with a task that runs a notebook in place, and waits until the notebook waits."""
        self.datalore.write_in_place(self.name)
        task = self.start_task(dag_id, task_id)
        self.wait_for("The notebook runs in place", lambda: self.datalore.kernel_in_place(self.name))
        return task

    def start_both(self) -> list[Task]:
        """Starts a task that waits in the triggerer and, where it can run beside it, one that waits on a worker."""
        dag_run = self.start("faults_both")
        kinds = ["deferred", "waiting"] if self.airflow.major >= 3 else ["deferred"]
        return [Task(self.airflow, "faults_both", dag_run, kind) for kind in kinds]

    def asked(self) -> int:
        """How many runs Datalore was asked for in this scenario."""
        return sum(len(self.datalore.runs(name)) + self.datalore.asked_in_place(name) for name in self._names)

    def polls(self) -> list[int]:
        """How often the status of each run of this scenario has been told."""
        isolated = [count for name in sorted(self._names) for count in self.datalore.polls(name)]
        in_place = [self.datalore.asked_in_place(name, "polls") for name in sorted(self._names)]
        return [*isolated, *(count for count in in_place if count)]

    def wait_until_watched(self, runs: int = 1, polls: int = 3) -> None:
        """Waits until so many runs go on and the status of each was told so often.

        The task that starts a run asks once: from the second on, somebody waits for it.
        """
        self.wait_for(
            f"{runs} runs are watched",
            lambda: len(told := self.polls()) >= runs and all(count >= polls for count in told),
        )

    def wait_until_watched_on(self) -> None:
        """Waits until every run of this scenario is asked for again, and again."""
        before = self.polls()
        self.wait_for(
            "All runs are watched on",
            lambda: all(now >= then + 2 for now, then in zip(self.polls(), before, strict=True)),
        )

    def wait_for(self, what: str, check: Callable[[], Any], timeout: float = PATIENCE) -> Any:
        """Waits for a condition."""
        return self.airflow.wait(what, check, timeout)

    def wait_until_ended(self, dag_id: str, dag_run: str, timeout: float = 2 * PATIENCE) -> None:
        """Waits until a run of a DAG has ended, well or not."""
        self.wait_for(
            f"The run of {dag_id} ends",
            lambda: self.airflow.run_state(dag_id, dag_run) in FINISHED_RUN,
            timeout,
        )

    def misbehave(self, *rules: Rule) -> None:
        self.datalore.misbehave(*rules)

    def let_go(self) -> None:
        """Lets all runs of the scenario end well; before, while triggers are there to be searched, no token shows."""
        self.must_keep_secrets()
        for name in self._names:
            self.datalore.let_go(name)

    def let_fail(self) -> None:
        """Lets all runs of the scenario fail."""
        for name in self._names:
            self.datalore.let_go(name, "badly")

    def must_keep_secrets(self) -> None:
        """No token shows in any log, XCom, rendered field, link or argument of a trigger."""
        assert self.airflow.places_of(self.datalore.tokens) == []
        for dag_id, dag_run in self._started:
            for task in self.airflow.task_states(dag_id, dag_run):
                links = str(self.airflow.links(dag_id, dag_run, task.task_id, task.map_index))
                assert not any(token in links for token in self.datalore.tokens)

    def came_of_it(self, outcome: str, *, injected: int, asked: int, tasks: int = 1) -> None:
        """Checks how many runs Datalore was asked for, and writes the scenario's line."""
        assert self.asked() == asked
        self.scenario.came_of_it(outcome, injected=injected, asked=asked, tasks=tasks)
