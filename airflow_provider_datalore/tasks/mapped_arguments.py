"""The arguments that all tasks of a mapped one have. DAG files import it, so its imports are cheap."""

from __future__ import annotations

from typing import Any


def own_arguments(mapped: Any) -> dict[str, Any]:
    """The arguments that all tasks of a mapped one have, with those of ``default_args``, which Airflow adds later."""
    partial_kwargs: dict[str, Any] = mapped.partial_kwargs
    places = (getattr(mapped, "dag", None), getattr(mapped, "task_group", None))
    given = [
        *(getattr(place, "default_args", None) or {} for place in places),
        partial_kwargs.get("default_args") or {},
    ]
    return {name: value for each in (*given, partial_kwargs) for name, value in each.items()}
