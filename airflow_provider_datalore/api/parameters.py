"""Converts Python values to what the controls of a notebook accept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import TypeAlias

from airflow_provider_datalore.exceptions import DataloreConfigurationError

Scalar: TypeAlias = str | bool
ParameterValue: TypeAlias = Scalar | list[Scalar]


def to_datalore(parameters: object) -> dict[str, ParameterValue]:
    """Convert a mapping ``{variable: value}`` to what Datalore's controls accept.

    ==============================  ==============================================================
    Python                          Datalore
    ==============================  ==============================================================
    ``str``                         the same (text input, dropdown)
    ``bool``                        JSON ``true`` or ``false`` (checkbox)
    ``int``, ``float``, ``Decimal`` its decimal digits as a string, such as ``"0.25"`` (slider)
    ``date``, ``datetime``          ISO 8601, such as ``"2026-01-31"`` (date picker)
    ``list``, ``tuple``             a JSON list of the above (dropdown with several, range of dates)
    ``None``                        not sent: the notebook keeps its own value
    ==============================  ==============================================================

    :raises DataloreConfigurationError: for any other value; the message names the parameter.
    """
    if parameters is None:
        return {}
    if not isinstance(parameters, Mapping):
        raise DataloreConfigurationError(
            f"parameters is a {type(parameters).__name__}, not a mapping {{variable: value}}. If it is a template, set "
            "render_template_as_native_obj=True on the DAG, or template each value."
        )
    converted: dict[str, ParameterValue] = {}
    for name, value in parameters.items():
        if not isinstance(name, str) or not name.strip():
            raise DataloreConfigurationError(
                f"parameter name {name!r} is not the name of a variable; use the control's Variable in Datalore."
            )
        if value is None:
            continue
        converted[name] = _list(name, value) if isinstance(value, (list, tuple)) else _scalar(name, value)
    return converted


def _list(name: str, values: list[object] | tuple[object, ...]) -> list[Scalar]:
    return [_scalar(f"{name}[{position}]", value) for position, value in enumerate(values)]


def _scalar(name: str, value: object) -> Scalar:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (int, float, Decimal)):
        return _number(name, value)
    if isinstance(value, date):
        return value.isoformat()
    raise DataloreConfigurationError(
        f"parameter {name!r} is a {type(value).__name__}, which no control in Datalore accepts. "
        "Send a string, a number, a boolean, a date, a list of these, or None to keep the notebook's value."
    )


def _number(name: str, value: int | float | Decimal) -> str:
    if isinstance(value, int):
        try:
            return int.__repr__(value)
        except ValueError:
            raise DataloreConfigurationError(f"parameter {name!r} is a number with too many digits.") from None
    digits = Decimal(float.__repr__(value)) if isinstance(value, float) else value
    if not digits.is_finite():
        raise DataloreConfigurationError(f"parameter {name!r} is {value}; Datalore accepts finite numbers only.")
    return format(digits, "f")
