"""A hook that is created when it is used: most tasks that resume with a finished run need none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from airflow_provider_datalore.hooks.datalore import DataloreHook


class _HasHook(Protocol):
    @property
    def hook(self) -> DataloreHook: ...


class _LazyHook:
    def __init__(self, task: _HasHook) -> None:
        self._task = task
        self._hook: DataloreHook | None = None

    def __getattr__(self, name: str) -> Any:
        if self._hook is None:
            self._hook = self._task.hook
        return getattr(self._hook, name)


def hook_when_needed(task: _HasHook) -> DataloreHook:
    """The task's hook, whose modules and connection are loaded when it is first used."""
    return cast("DataloreHook", _LazyHook(task))
