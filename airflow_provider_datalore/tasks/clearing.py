"""What a clear of a task keeps; in Airflow 3.4 and later, whoever clears it chooses."""

from __future__ import annotations


def with_kept_state() -> str:
    """The words after "clear this task" if the next try needs what it stored: Airflow 3.4 discards that by default."""
    from airflow import __version__

    major, minor, *_ = __version__.split(".")
    return " with 'Keep task state and resume'" if (int(major), int(minor)) >= (3, 4) else ""
