"""Mapped tasks: what stands in the DAG file is checked when it is read, and their values can be handed on.

Airflow creates the tasks of a mapped one only when they run, so their constructor cannot check anything before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from itertools import islice, product
from typing import Any

from airflow_provider_datalore.tasks.mapped_arguments import own_arguments
from airflow_provider_datalore.tasks.output_values import NamedType, value_of

MAX_CHECKED = 1000
"""How many combinations of the elements of ``expand`` are checked when the DAG is read; others before their run."""
_CHECKED = ("notebook_id", "parameters", "datalore_conn_id", "when_edited")


def checked_partial(created: Any) -> Any:
    """The same ``OperatorPartial`` of Airflow; its ``expand`` checks what it can, and its task has ``value``."""
    base: Any = type(created)
    created.__class__ = _checked_class(base)
    return created


def prepare(mapped: Any, literals: Iterable[Mapping[str, Any]]) -> Any:
    """Check the arguments of a mapped task that stand in the DAG file, and give it the method ``value``.

    :param literals: the arguments of ``expand``, as far as they stand in the file: one mapping for each combination
        that has to be checked.
    :raises DataloreConfigurationError: if the catalog has no id for the connection, or the parameters do not fit.
    """
    partial_kwargs: dict[str, Any] = mapped.partial_kwargs
    if isinstance(outputs := partial_kwargs.get("outputs"), Mapping):
        partial_kwargs["outputs"] = {name: NamedType(kind) for name, kind in outputs.items()}
    own = own_arguments(mapped)
    for arguments in literals:
        _check({**own, **arguments})
    mapped.value = partial(value_of, mapped)
    return mapped


def literals_of(value: object) -> Iterable[Mapping[str, Any]]:
    """The arguments in what ``expand`` or ``expand_kwargs`` was given, as far as they stand in the DAG file."""
    if isinstance(value, Mapping):
        yield {}
        written = {name: each for name in _CHECKED if isinstance(each := value.get(name), Sequence)}
        for elements in islice(product(*written.values()), MAX_CHECKED):
            yield dict(zip(written, elements, strict=True))
    elif isinstance(value, Sequence):
        yield from (each for each in value if isinstance(each, Mapping))
    else:
        yield {}


def _check(arguments: Mapping[str, Any]) -> None:
    notebook_id = arguments.get("notebook_id")
    when_edited = arguments.get("when_edited", "ignore")
    if not isinstance(when_edited, str):
        return
    if (notebook_id is None or isinstance(notebook_id, str)) and (when_edited == "ignore" or notebook_id is None):
        return
    from airflow_provider_datalore import defaults
    from airflow_provider_datalore.catalog.task_arguments import check_task

    connection = arguments.get("datalore_conn_id", defaults.CONN_ID)
    check_task(notebook_id, arguments.get("parameters"), connection, when_edited)


@cache
def _checked_class(base: type) -> type:
    """A subclass of Airflow's ``OperatorPartial``, which has no more attributes than its base."""

    class CheckedPartial(base):  # type: ignore[misc]  # known only at run time
        __slots__ = ()

        def _expand(self, expand_input: Any, *, strict: bool) -> Any:
            return prepare(super()._expand(expand_input, strict=strict), literals_of(expand_input.value))

    CheckedPartial.__name__ = base.__name__
    return CheckedPartial
