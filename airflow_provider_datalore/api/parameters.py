"""Converts Python values to what the controls of a notebook accept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from datetime import date, timedelta
from decimal import Decimal
from os import PathLike
from typing import TypeAlias

from airflow_provider_datalore.api.values import MissingValueError, NoDefaultError, as_list, as_scalar
from airflow_provider_datalore.exceptions import DataloreConfigurationError

Scalar: TypeAlias = str | bool
ParameterValue: TypeAlias = Scalar | list[Scalar]

_ACCEPTED = "Send a string, a number, a boolean, a date, a list of these, or None to keep the notebook's value."
_SINGLE_VALUES = "A list contains single values only: send one parameter for each list, or json.dumps(value) as text."
_REMEDIES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    ((bytes, bytearray, memoryview), "Decode it to a string."),
    (timedelta, "Send a number, such as value.total_seconds()."),
    (Mapping, "Send one parameter for each of its values, or json.dumps(value) as text."),
    (Iterator, "It can be read only once, and a retry has to read it again: send list(value)."),
    (Set, "It has no order: send sorted(value)."),
)
"""What to send instead of values that are not accepted."""


def to_datalore(parameters: object) -> dict[str, ParameterValue]:
    """Convert a mapping ``{variable: value}`` to what Datalore's controls accept.

    ==============================  ==============================================================
    Python                          Datalore
    ==============================  ==============================================================
    ``str``, ``Path``               the text (text input, dropdown)
    ``bool``                        JSON ``true`` or ``false`` (checkbox)
    ``int``, ``float``, ``Decimal`` its decimal digits as a string, such as ``"0.25"`` (slider)
    ``date``, ``datetime``          ISO 8601, such as ``"2026-01-31"`` (date picker)
    ``Enum``                        its value
    a sequence                      a JSON list of the above (dropdown with several, range of dates)
    ``None``                        not sent: the notebook keeps its own value
    ==============================  ==============================================================

    Scalars, arrays and series of NumPy and pandas are the Python values that they contain, and a ``Param`` of Airflow
    is its value.

    :raises DataloreConfigurationError: for any other value; the message names the parameter.
    """
    if parameters is None:
        return {}
    if not isinstance(parameters, Mapping):
        raise DataloreConfigurationError(
            f"parameters is a {type(parameters).__name__}, not a mapping {{variable: value}}.",
            to_do="If it is a template, set render_template_as_native_obj=True on the DAG, or template each value.",
        )
    converted: dict[str, ParameterValue] = {}
    for name, value in parameters.items():
        if not isinstance(name, str) or not name.strip():
            raise DataloreConfigurationError(
                f"parameter name {name!r} is not the name of a variable.",
                to_do="Use the control's Variable in Datalore.",
            )
        plain = _plain(name, value)
        if plain is None:
            continue
        elements = as_list(plain)
        converted[name] = _scalar(name, plain) if elements is None else _list(name, elements)
    return converted


def _list(name: str, values: list[object]) -> list[Scalar]:
    names = (f"{name}[{position}]" for position in range(len(values)))
    return [_scalar(part, _plain(part, value)) for part, value in zip(names, values, strict=True)]


def _plain(name: str, value: object) -> object:
    """The Python value of what NumPy, pandas, an ``Enum`` or Airflow's ``Param`` contains."""
    try:
        return as_scalar(value)
    except MissingValueError as missing:
        raise DataloreConfigurationError(
            f"parameter {name!r} is {missing}, a missing value, which no control in Datalore accepts.",
            to_do="Send None to keep the notebook's value, or leave the missing values out.",
        ) from None
    except NoDefaultError as error:
        raise DataloreConfigurationError(
            f"parameter {name!r} is a Param that has no valid value: {error:.300}.",
            to_do="Give it a default, or a value when the DAG is triggered.",
        ) from None


def _scalar(name: str, value: object) -> Scalar:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (int, float, Decimal)):
        return _number(name, value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, PathLike):
        return str(value)
    raise DataloreConfigurationError(
        f"parameter {name!r} is a {type(value).__name__}, which no control in Datalore accepts.", to_do=_remedy(value)
    )


def _remedy(value: object) -> str:
    """What to send instead of a value."""
    for kinds, remedy in _REMEDIES:
        if isinstance(value, kinds):
            return remedy
    has_lists = as_list(value) is not None or getattr(value, "ndim", 0) > 1
    return _SINGLE_VALUES if has_lists else _ACCEPTED


def _number(name: str, value: int | float | Decimal) -> str:
    if isinstance(value, int):
        try:
            return int.__repr__(value)
        except ValueError:
            raise DataloreConfigurationError(
                f"parameter {name!r} is a number with too many digits.", to_do="Send fewer."
            ) from None
    digits = Decimal(float.__repr__(value)) if isinstance(value, float) else value
    if not digits.is_finite():
        raise DataloreConfigurationError(
            f"parameter {name!r} is {value}; Datalore accepts finite numbers only.", to_do="Send another number."
        )
    return format(digits, "f")
