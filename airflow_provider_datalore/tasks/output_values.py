"""One value that a notebook returns, as an argument of another task. DAG files import it, so its imports are cheap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore.tasks.mapped_arguments import own_arguments
from airflow_provider_datalore.xcom import output_key

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import XComArg


class OutputValues:
    """The base of operators and sensors that return values of a notebook.

    :ivar outputs: the names of the values.
    :ivar output_types: the types that they have to have, by name; None if none were given.
    """

    outputs: Sequence[str] | None
    output_types: Mapping[str, Any] | None

    def value(self, name: str) -> XComArg:
        """One value that the notebook returns, as an argument of another task; it has its own type there.

        :param name: one of ``outputs``.
        :raises DataloreConfigurationError: if it is not one of them.
        """
        return value_of(self, name)

    def _use_outputs(self, outputs: Mapping[str, Any] | Sequence[str] | None) -> None:
        """Set the names of the values and their types."""
        types = None
        if isinstance(outputs, Mapping):
            types = {name: kind.kind if isinstance(kind, NamedType) else kind for name, kind in outputs.items()}
        self.output_types = types
        self.outputs = list(outputs) if isinstance(outputs, Mapping) else outputs

    @property
    def _requested_outputs(self) -> Sequence[str] | None:
        """What identifies the requested values: their names and types."""
        if self.output_types is None:
            return self.outputs
        from airflow_provider_datalore.api.text import shown_type

        return [f"{name}: {shown_type(kind)}" for name, kind in self.output_types.items()]


class NamedType:
    """A type that Airflow's serialized DAG shows by its name, and not by its source code."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def __repr__(self) -> str:
        from airflow_provider_datalore.api.text import shown_type

        return shown_type(self.kind)


def value_of(task: Any, name: str) -> XComArg:
    """See :meth:`OutputValues.value`; also for a mapped task, of which it is the list of all values."""
    from airflow.providers.common.compat.sdk import XComArg

    outputs = task.outputs if hasattr(task, "outputs") else own_arguments(task).get("outputs")
    names = list(outputs) if isinstance(outputs, (Mapping, list, tuple, set, frozenset)) else None
    is_template = outputs is not None and (names is None or any("{" in str(each) for each in names))
    if not is_template and name not in (names or ()):
        from airflow_provider_datalore.api.text import listed
        from airflow_provider_datalore.exceptions import DataloreConfigurationError

        known = listed([str(each) for each in names or ()], 30) or "no outputs"
        raise DataloreConfigurationError(
            f"Task {task.task_id!r} has no output {name!r:.200}; it has {known}. Add the name to outputs=… of the task."
        )
    return XComArg(task, key=output_key(name))
