"""A notebook's control as the lock file describes it: which values it accepts, and their types."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from math import isfinite
from os import PathLike
from typing import Any

from airflow_provider_datalore.api.values import MissingValueError, NoDefaultError, as_list, as_scalar

_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ].*)?")
_KINDS = {
    "CHECKBOX": "checkbox",
    "SLIDER": "slider",
    "TEXT_INPUT": "text input",
    "DATEPICKER": "date picker",
    "DROPDOWN": "dropdown",
    "VARIABLE": "variable",
    "SEVERAL": "several controls",
}
KNOWN_TYPES = frozenset(_KINDS)
MAX_LISTED = 10
"""How many items of a dropdown a message lists."""


class NotAcceptedError(ValueError):
    """The control does not accept the value; the message says what it accepts."""


class LockedControl:
    """A control.

    :param variable: the variable that it sets; the name of the parameter.
    :param facts: what the lock file contains about it.
    :raises ValueError: if a fact has a wrong type.
    """

    def __init__(self, variable: str, facts: Mapping[str, Any]) -> None:
        if not isinstance(facts, Mapping):
            raise ValueError(f"it is a {type(facts).__name__}")  # noqa: TRY004  (what the file contains)
        self.variable = variable
        self.type: str = _fact(facts, "type", str, "")
        """``CHECKBOX``, ``SLIDER``, ``TEXT_INPUT``, ``DATEPICKER`` or ``DROPDOWN``, as the Notebook API names them;
        ``VARIABLE`` for one of a cell tagged ``parameters``, ``SEVERAL`` if several controls set the variable; of any
        other type, all values are accepted."""
        self.label: str = _fact(facts, "label", str, "")
        self.default: Any = facts.get("default")
        """Its value in the notebook; None if it has none."""
        self.items: tuple[str, ...] = tuple(_fact(facts, "items", list, []))
        """What can be selected in a dropdown."""
        if not all(isinstance(item, str) for item in self.items):
            raise ValueError("items are not text")
        self.more_items: int = _fact(facts, "more_items", int, 0)
        """How many more items there are, which the lock file does not list."""
        self.is_multiple: bool = _fact(facts, "multiselect", bool, False) or _fact(facts, "range", bool, False)
        """Whether several items can be selected, or a date picker has two dates."""
        self.is_dynamic: bool = _fact(facts, "dynamic", bool, False)
        """Whether the items of a dropdown come from a variable, so that they are known only in Datalore."""
        self.is_multiline: bool = _fact(facts, "multiline", bool, False)
        self.min: int | float | None = _fact(facts, "min", (int, float), None)
        self.max: int | float | None = _fact(facts, "max", (int, float), None)
        self.step: int | float | None = _fact(facts, "step", (int, float), None)
        self.value_type: str = _fact(facts, "value_type", str, "")
        """The type of a variable: ``boolean``, ``number``, ``string`` or ``list``; empty if it is unknown."""

    @property
    def is_open(self) -> bool:
        """Whether a dropdown has items that only Datalore knows."""
        return self.is_dynamic or self.more_items > 0

    @property
    def is_required(self) -> bool:
        """Whether it has no value in the notebook, so that a run needs one."""
        can_be_given = self.type == "DATEPICKER" or (self.type == "DROPDOWN" and bool(self.items))
        return self.default is None and can_be_given and not self.is_open

    def __str__(self) -> str:
        """Its type and what it accepts, for messages: ``dropdown of 'North', 'South'``."""
        kind = _KINDS.get(self.type, self.type or "control")
        if self.type == "SLIDER" and (self.min is not None or self.max is not None):
            kind += f" {self._bounds()}"
        elif self.type == "DATEPICKER" and self.is_multiple:
            kind += " with a first and a last date"
        elif self.type == "DROPDOWN":
            if self.is_multiple:
                kind += " with several values"
            if self.is_dynamic:
                kind += " whose items come from a variable"
            else:
                kind += f" of {self._listed(self.items[:MAX_LISTED])}"
        elif self.type == "VARIABLE" and self.value_type:
            kind += f" of type {self.value_type}"
        return _short(kind)

    def typed(self, value: object, *, is_written: bool = False) -> Any:
        """The value in the type of the control.

        :param value: a value of a DAG, or the text that a template made of one.
        :param is_written: whether the value stands in the DAG file as it is, and no template made it: then a text
            control accepts only text.
        :raises NotAcceptedError: if the control does not accept it.
        """
        try:
            plain = as_scalar(value)
        except (MissingValueError, NoDefaultError) as error:
            raise NotAcceptedError(f"a value, and not {error}") from None
        if plain is None:
            return None
        kind = self.value_type if self.type == "VARIABLE" else self.type
        result: Any = value
        if kind in ("CHECKBOX", "boolean"):
            result = _flag(plain)
        elif kind in ("SLIDER", "number"):
            result = self._number(plain)
        elif kind in ("TEXT_INPUT", "string"):
            result = _text(plain, is_written=is_written)
        elif kind == "DATEPICKER":
            result = self._range(plain) if self.is_multiple else _date(plain)
        elif kind == "DROPDOWN":
            result = self._several(plain) if self.is_multiple else self._item(plain, "one of")
        elif kind == "list" and (elements := _elements(plain)) is not None:
            result = elements
        return result

    def _number(self, value: object) -> int | float | Decimal:
        number = _as_number(value)
        if number is not None:
            exact = Decimal(str(number))
            above = self.min is None or exact >= Decimal(str(self.min))
            if above and (self.max is None or exact <= Decimal(str(self.max))):
                return int(number) if isinstance(number, float) and self._is_whole() and number.is_integer() else number
        raise NotAcceptedError(f"a number {self._bounds()}".strip())

    def _is_whole(self) -> bool:
        return all(isinstance(each, int) for each in (self.min, self.max, self.step if self.step is not None else 1))

    def _bounds(self) -> str:
        if self.min is None and self.max is None:
            return ""
        if self.min is None:
            return f"of at most {self.max}"
        return f"of at least {self.min}" if self.max is None else f"from {self.min} to {self.max}"

    def _range(self, value: object) -> list[str]:
        what = "a list of the first and the last date, such as ['2026-01-01', '2026-01-31']"
        elements = _elements(value)
        if elements is None or len(elements) != 2:
            raise NotAcceptedError(what)
        try:
            first, last = map(_date, elements)
        except NotAcceptedError:
            raise NotAcceptedError(what) from None
        if first > last:
            raise NotAcceptedError(what)
        return [first, last]

    def _several(self, value: object) -> list[str]:
        elements = _elements(value)
        return [self._item(each, "a list of") for each in ([value] if elements is None else elements)]

    def _item(self, value: object, how_many: str) -> str:
        text = str(value) if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) else value
        if isinstance(text, (date, PathLike)):
            text = str(text)
        if isinstance(text, str) and (self.is_open or text in self.items):
            return text
        shown = self.items[:MAX_LISTED]
        if len(self.items) > MAX_LISTED:
            from difflib import get_close_matches

            shown = tuple(get_close_matches(str(text), self.items, 5)) or shown
        allowed = "the items of a variable" if self.is_dynamic else self._listed(shown)
        raise NotAcceptedError(_short(f"{how_many} {allowed}"))

    def _listed(self, shown: Sequence[str]) -> str:
        """Some items for a message, and how many there are."""
        count = len(self.items) + self.more_items
        items = ", ".join(map(repr, shown)) or "no items"
        return items if count == len(shown) else f"{count} items, such as {items}"


def _short(text: str) -> str:
    from airflow_provider_datalore.api.text import one_line, shorten

    return shorten(one_line(text))


def _fact(facts: Mapping[str, Any], name: str, kind: type | tuple[type, ...], otherwise: Any) -> Any:
    value = facts.get(name)
    if value is None:
        return otherwise
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{name} is {value!r:.100}")
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{name} is {value!r:.100}")
    return value


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise NotAcceptedError("True or False")


def _as_number(value: object) -> int | float | Decimal | None:
    """A finite number; None if the value is not one."""
    if isinstance(value, str):
        text = value.strip()
        try:
            return int(text) if re.fullmatch(r"[+-]?[0-9]{1,300}", text) else _finite(Decimal(text))
        except InvalidOperation:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    return value if isinstance(value, int) or Decimal(str(value)).is_finite() else None


def _finite(number: Decimal) -> Decimal | None:
    return number if number.is_finite() else None


def _text(value: object, *, is_written: bool) -> str:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (date, PathLike)):
        return str(value)
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) and not is_written:
        return str(value)
    raise NotAcceptedError("text")


def _date(value: object) -> str:
    """The date as ``YYYY-MM-DD``; a time is accepted at midnight only, which is how Airflow has dates."""
    moment: datetime | None = None
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        return value.isoformat()
    elif isinstance(value, str) and _DATE.fullmatch(value.strip()):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            moment = None
    if moment is None or moment.time() != time():
        raise NotAcceptedError("a date, such as '2026-01-31'")
    return moment.date().isoformat()


def _elements(value: object) -> list[Any] | None:
    """The elements of a list, also of the text that Jinja or JSON makes of one; None if it is not a list."""
    elements = as_list(value)
    if elements is None and isinstance(value, str) and value.strip().startswith(("[", "(")):
        for parse in (json.loads, ast.literal_eval):
            try:
                return as_list(parse(value.strip()))
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                continue
    return elements
