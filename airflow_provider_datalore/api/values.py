"""Which values are lists and which are single ones, whatever class they have: also those of NumPy, pandas and Airflow.

None of these packages is imported: their values are recognized by the names of their classes and attributes.
"""

from __future__ import annotations

from collections.abc import KeysView, Sequence, ValuesView
from decimal import Decimal
from enum import Enum
from typing import Any

_MISSING = frozenset({"NaTType", "NAType", "MaskedConstant"})
"""Classes of pandas' ``NaT`` and ``NA`` and of NumPy's ``masked``."""
_WHOLE_DAYS = ("[D]", "[W]", "[M]", "[Y]")


class MissingValueError(ValueError):
    """A value of NumPy or pandas that stands for a missing one; the message is its name."""


class NoDefaultError(ValueError):
    """A ``Param`` of Airflow that has no value, or none that its own schema allows."""


def as_list(value: object) -> list[Any] | None:
    """The elements of any sequence, such as a tuple, a range, a mapped task's XComs, an array or a pandas ``Series``.

    :return: None for everything else, such as text, bytes, a set, an iterator, or an array with other than one
        dimension.
    """
    if isinstance(value, (str, bytes, bytearray, memoryview)):
        return None
    if isinstance(value, (Sequence, KeysView, ValuesView)):
        return list(value)
    if _is_array(value):
        # An iteration over pandas' own values would widen numbers of 32 bits.
        elements: Any = value.to_numpy() if _package(value) == "pandas" else value  # type: ignore[attr-defined]  # _is_array
        return list(elements)
    return None


def as_scalar(value: object) -> object:
    """The Python value that a single value of another package stands for; any other value as it is.

    :raises MissingValueError: for ``NaT``, ``NA`` and the like.
    :raises NoDefaultError: for a ``Param`` without a value.
    """
    if isinstance(value, Enum):
        return as_scalar(value.value)
    if type(value).__name__ in _MISSING and _package(value) in ("numpy", "pandas"):
        raise MissingValueError(str(value))
    if is_param(value):
        return as_scalar(_default(value))
    if isinstance(value, (str, bytes)):
        return value
    return _from_numpy(value) if getattr(value, "ndim", None) == 0 and hasattr(value, "dtype") else value


def is_param(value: object) -> bool:
    """Whether a value is a ``Param`` of Airflow."""
    return any(base.__name__ == "Param" and base.__module__.startswith("airflow.") for base in type(value).__mro__)


def _default(param: Any) -> object:
    try:
        return param.resolve()
    except Exception as error:
        # Of several classes; jsonschema's repeats the whole schema after the first line.
        raise NoDefaultError(str(error).partition("\n")[0]) from None


def _from_numpy(value: Any) -> object:
    """The Python value of a NumPy scalar, or of an array without dimensions."""
    scalar = value[()]
    kind = scalar.dtype.kind if hasattr(scalar, "dtype") else ""
    if kind in "biu" and kind:
        return scalar.item()
    if kind == "f" and not isinstance(scalar, float):
        # As NumPy shows it: the nearest float of Python has more digits.
        return Decimal(str(scalar))
    if kind == "M":
        if str(scalar) == "NaT":
            raise MissingValueError("NaT")
        unit = "D" if scalar.dtype.name.endswith(_WHOLE_DAYS) else "us"
        return scalar.astype(f"datetime64[{unit}]").item()
    if kind == "m" and str(scalar) == "NaT":
        raise MissingValueError("NaT")
    return scalar


def _is_array(value: object) -> bool:
    return callable(getattr(value, "tolist", None)) and hasattr(value, "__len__") and getattr(value, "ndim", 1) == 1


def _package(value: object) -> str:
    return type(value).__module__.partition(".")[0]
