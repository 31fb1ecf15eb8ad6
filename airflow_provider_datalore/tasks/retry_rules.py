"""Which failures of a task are retried, by the names of the notebook's exceptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_datalore.tasks.own_error import own_error
from airflow_provider_datalore.wording import cut

if TYPE_CHECKING:
    from airflow_provider_datalore.notebooks.failure import CellFailure

KERNEL_LOST = "DataloreKernelLostError"
"""The name for a kernel that died, also if the run has an executed notebook that shows it."""

_MAX_SHOWN_CHARS = 200


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a failure is worth a retry.

    :param is_retried: whether Airflow may retry the task.
    :param reason: why, as the end of a sentence: ``KeyError is in fail_on``.
    """

    is_retried: bool
    reason: str


@dataclass(frozen=True, slots=True)
class RetryRules:
    """The options of a task; what is not a list of names has no effect.

    :param retry_on: the only failures that are retried; None if all are.
    :param fail_on: failures that are not retried, whatever else is set.
    """

    retry_on: tuple[str, ...] | None = None
    fail_on: tuple[str, ...] = ()

    @classmethod
    def of(cls, task: object) -> RetryRules:
        """The options of a task, which may have none."""
        return cls(names_in(getattr(task, "retry_on", None)), names_in(getattr(task, "fail_on", None)) or ())

    def decide(self, error: BaseException) -> Decision | None:
        """Whether a failure is retried; None if the options say nothing about it."""
        if not self.fail_on and self.retry_on is None:
            return None
        failed = _Failed.of(error)
        if name := failed.first_of(self.fail_on):
            return Decision(False, f"{name} is in fail_on")
        if self.retry_on is None:
            return None
        if name := failed.first_of(self.retry_on):
            return Decision(True, f"{name} is in retry_on")
        return Decision(False, f"{failed.shown} is not in retry_on")


@dataclass(frozen=True, slots=True)
class _Failed:
    """The names of a failure.

    :param names: of the notebook's exception or, without one, of the error and its base classes.
    :param traceback: the notebook's traceback, which may have the dotted name.
    """

    names: tuple[str, ...]
    traceback: str = ""

    @classmethod
    def of(cls, error: BaseException) -> _Failed:
        cause = own_error(error) or error
        classes = tuple(base.__name__ for base in type(cause).__mro__ if issubclass(base, Exception))
        failure: CellFailure | None = getattr(cause, "failure", None)
        if failure is None:
            return cls(classes)
        return cls((failure.error_name or KERNEL_LOST, *classes), failure.traceback)

    @property
    def shown(self) -> str:
        return cut(self.names[0], _MAX_SHOWN_CHARS) if self.names else "the error"

    def first_of(self, wanted: Sequence[str]) -> str:
        """The first of these names that is one of this failure; empty if none is."""
        return next((name for name in wanted if self._is(name)), "")

    def _is(self, wanted: str) -> bool:
        simple = wanted.rpartition(".")[2]
        for name in self.names:
            if wanted == name or (wanted == simple and simple == name.rpartition(".")[2]):
                return True
        is_named = any(simple == name.rpartition(".")[2] for name in self.names)
        return is_named and wanted != simple and wanted in self.traceback


def names_in(value: object) -> tuple[str, ...] | None:
    """The names in an option; None if it is not a list of names."""
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, set, frozenset)):
        return None
    names = tuple(value)
    return names if all(isinstance(name, str) and name.strip() for name in names) else None
