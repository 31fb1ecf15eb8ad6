"""The moment at which a task may run its notebook: nothing else is running in it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_datalore.api.snapshots import NotebookState
    from airflow_provider_datalore.api.waiting import WaitPolicy
    from airflow_provider_datalore.hooks.notebook import DataloreNotebook

log = logging.getLogger(__name__)


@dataclass(slots=True)
class WhenIdle:
    """A notebook that a task runs when it is idle.

    :param parameters: values for its controls; all are checked before the first is set.
    :param policy: how often to poll, and how long to wait for the cells that some notebooks run when a control is set.
    :param wait: waits until the notebook is idle, or raises; is given the state of the notebook.
    :param has_waited: whether the task has already waited, so that it runs the notebook unless something is running.
    """

    notebook: DataloreNotebook
    parameters: Mapping[str, Any] | None
    policy: WaitPolicy
    wait: Callable[[NotebookState], object]
    has_waited: bool = False
    settings: dict[str, dict[str, Any]] = field(default_factory=dict, init=False)
    """The controls with their new values, by the id of their cell; known once the notebook was looked at."""

    def state(self) -> NotebookState:
        """The state of the notebook, once it is idle."""
        while True:
            state = self.notebook.look()
            self.settings = self.notebook.settings_for(self.parameters, state)
            is_free = not state.kernel.is_busy
            if is_free and (self.has_waited or self.notebook.is_idle(state, self.policy.poll_interval)):
                return state
            self.wait_for_others(state)

    def wait_for_others(self, state: NotebookState) -> None:
        """Wait until what is running now has ended."""
        self.wait(state)
        self.has_waited = True

    def log_parameters(self) -> None:
        """Log the parameters with which the notebook runs."""
        from airflow_provider_datalore.hooks.shown_parameters import shown_parameters

        if self.parameters:
            log.info("Parameters: %s", shown_parameters(self.parameters))

    def set_controls(self, settings: Mapping[str, Mapping[str, Any]], state: NotebookState) -> NotebookState:
        """Set controls.

        :param state: the state of the notebook now.
        :return: the state afterwards.
        """
        return self.notebook.set_controls(settings, self.policy) if settings else state
