"""The arguments of the tasks for which a mapped task or a mapped task group stands, as far as the DAG file has them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import product
from typing import Any


def expansions(value: object, names: Collection[str] | None) -> Iterator[dict[str, Any]]:
    """The arguments in what ``expand`` or ``expand_kwargs`` was given, for each task.

    :param value: the mapping of lists of ``expand``, or the list of mappings of ``expand_kwargs``. What another task
        returns is handed on as it is.
    :param names: the arguments that matter; None for all.
    """
    if isinstance(value, Mapping):
        used = [name for name in value if names is None or name in names]
        for values in product(*(_elements(value[name]) for name in used)):
            yield dict(zip(used, values, strict=True))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for each in value:
            given = each if isinstance(each, Mapping) else {}
            yield {name: given[name] for name in given if names is None or name in names}
    else:
        yield {}


def in_mapped_groups(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The arguments of a task for each expansion of the mapped task groups whose arguments they use."""
    used = list(_of_groups(arguments))
    inputs = {id(each._input): each._input for each in used}
    keys = {key: {each._key for each in used if id(each._input) == key} for key in inputs}
    choices = [[(key, each) for each in expansions(inputs[key].value, keys[key])] for key in inputs]
    for chosen in product(*choices):
        values = dict(chosen)
        yield {name: _replaced(value, values) for name, value in arguments.items()}


def _elements(value: object) -> list[Any]:
    """The elements over which a task is mapped; one that is not known if another task returns them."""
    if isinstance(value, Mapping):
        return list(value.items())
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def _is_of_group(value: object) -> bool:
    """Whether a value is Airflow's reference to an argument of a mapped task group."""
    return type(value).__name__ == "MappedArgument" and hasattr(value, "_input") and hasattr(value, "_key")


def _of_groups(value: object) -> Iterator[Any]:
    if _is_of_group(value):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _of_groups(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _of_groups(each)


def _replaced(value: Any, values: Mapping[int, Mapping[str, Any]]) -> Any:
    if _is_of_group(value):
        return values[id(value._input)].get(value._key, value)
    if isinstance(value, dict):
        return {name: _replaced(each, values) for name, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, values) for each in value]
    return value
