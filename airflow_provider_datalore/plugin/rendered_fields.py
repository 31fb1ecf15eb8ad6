"""What Airflow has done to the rendered fields of a task that it stores: it masks secrets, and cuts long values."""

from __future__ import annotations

_MASK = "***"
"""What Airflow replaces secrets by, also in rendered fields."""

_CUT_PREFIX = "Truncated. You can change this behaviour in [core]max_templated_field_length."


def is_masked(value: object) -> bool:
    """Whether Airflow masked a part of a value."""
    return _MASK in str(value)


def was_cut(value: object) -> bool:
    """Whether Airflow kept only the beginning of a value: it is then a text with this note before it."""
    return isinstance(value, str) and value.startswith(_CUT_PREFIX)
