"""A notebook's controls: which cells are controls, which values they accept, and the code that sets their variables.

A control is a code cell with the metadata ``{"datalore": {"control": {"controlType": "SLIDER", "label": …,
"variable": …, …}}}``, with the fields that the Notebook API has for it. Its source is the assignment of the value
to the variable, so that other tools can run such a notebook too. Setting the control rewrites the source.
"""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.alias_generators import to_camel

if TYPE_CHECKING:
    from nbformat import NotebookNode


class ControlError(Exception):
    """A control does not accept a value."""


_NAME = r"^[^\W\d]\w*$"
"""What a variable may be called: its name becomes a part of the code."""


class _Control(BaseModel):
    """What all controls have in common.

    :param label: the text that is shown with it.
    :param variable: the variable that it sets.
    """

    model_config = ConfigDict(strict=True, extra="forbid", alias_generator=to_camel)

    label: str = ""
    variable: str = Field(pattern=_NAME)


class Checkbox(_Control):
    """A Boolean value."""

    control_type: Literal["CHECKBOX"]
    value: bool

    def code(self) -> str:
        return f"{self.variable} = {self.value}"

    def with_value(self, value: Any) -> dict[str, Any]:
        if isinstance(value, str) and value.strip().lower() in ("true", "false"):
            value = value.strip().lower() == "true"
        return {"value": value}


class Slider(_Control):
    """A number within a range. The API represents all numbers as strings."""

    control_type: Literal["SLIDER"]
    value: str
    min: str
    max: str
    step: str = "1"

    @model_validator(mode="after")
    def _is_between(self) -> Slider:
        if not float(self.min) <= float(self.value) <= float(self.max):
            raise ValueError(f"{self.value} is not between {self.min} and {self.max}")
        return self

    def code(self) -> str:
        return f"{self.variable} = {int(self.value) if self.value.lstrip('+-').isdigit() else float(self.value)}"

    def with_value(self, value: Any) -> dict[str, Any]:
        return {"value": str(value)}


class TextInput(_Control):
    """Text, with one or several lines."""

    control_type: Literal["TEXT_INPUT"]
    value: str
    multiline: bool = False

    def code(self) -> str:
        return f"{self.variable} = {self.value!r}"

    def with_value(self, value: Any) -> dict[str, Any]:
        return {"value": value}


class Datepicker(_Control):
    """A date, or the first and the last date of a range."""

    control_type: Literal["DATEPICKER"]
    start_date: str | None = None
    end_date: str | None = None
    with_range: bool = False

    @model_validator(mode="after")
    def _are_dates(self) -> Datepicker:
        for text in (self.start_date, self.end_date):
            if text is not None:
                date.fromisoformat(text)
        return self

    def code(self) -> str:
        first, last = (text and f"datetime.date.fromisoformat({text!r})" for text in (self.start_date, self.end_date))
        return f"import datetime\n\n{self.variable} = {f'({first}, {last})' if self.with_range else first}"

    def with_value(self, value: Any) -> dict[str, Any]:
        if not self.with_range:
            return {"startDate": value}
        start, end, *_ = [*_as_list(value), None, None]
        return {"startDate": start, "endDate": end}


class Dropdown(_Control):
    """One or several items of a list. If ``selectedVariable`` is set, that variable contains the list at run time."""

    control_type: Literal["DROPDOWN"]
    items: list[str] = []
    selected_value: str | None = None
    multiselect: bool = False
    selected_values: list[str] | None = None
    selected_variable: str | None = Field(default=None, pattern=_NAME)

    @model_validator(mode="after")
    def _are_items(self) -> Dropdown:
        chosen = (self.selected_values or []) if self.multiselect else [self.selected_value]
        wrong = [each for each in chosen if each is not None and each not in self.items]
        if wrong and self.selected_variable is None:
            raise ValueError(f"{wrong[0]!r} is not one of the items")
        return self

    def code(self) -> str:
        chosen = (self.selected_values or []) if self.multiselect else self.selected_value
        if self.selected_variable is None:
            return f"{self.variable} = {chosen!r}"
        if self.multiselect:
            return f"{self.variable} = [item for item in {self.selected_variable} if str(item) in {chosen!r}]"
        return f"{self.variable} = next(item for item in {self.selected_variable} if str(item) == {chosen!r})"

    def with_value(self, value: Any) -> dict[str, Any]:
        if self.multiselect:
            return {"selectedValues": _as_list(value)}
        return {"selectedValue": value}


Control = Annotated[Checkbox | Slider | TextInput | Datepicker | Dropdown, Field(discriminator="control_type")]
_CONTROL: TypeAdapter[Checkbox | Slider | TextInput | Datepicker | Dropdown] = TypeAdapter(Control)


def control_of(cell: NotebookNode) -> dict[str, Any] | None:
    """The control in a cell's metadata, None if the cell is not a control."""
    own = cell.metadata.get("datalore") if cell.cell_type == "code" else None
    control = own.get("control") if isinstance(own, dict) else None
    return dict(control) if isinstance(control, dict) else None


def controls(notebook: NotebookNode) -> dict[str, NotebookNode]:
    """The cells that are controls, by the variable that they set."""
    found: dict[str, NotebookNode] = {}
    for cell in notebook.cells:
        variable = (control_of(cell) or {}).get("variable")
        if isinstance(variable, str) and variable:
            found[variable] = cell
    return found


def set_control(cell: NotebookNode, wanted: dict[str, Any]) -> None:
    """Set the control of a cell.

    :raises ControlError: the control has another type or does not accept the value.
    """
    present = control_of(cell) or {}
    if wanted.get("controlType") != present.get("controlType"):
        raise ControlError(f"The control is a {present.get('controlType')}, not a {wanted.get('controlType')}")
    control, code = new_control(wanted)
    cell.metadata["datalore"] = {**cell.metadata["datalore"], "control": control}
    cell.source = code


def new_control(wanted: object) -> tuple[dict[str, Any], str]:
    """A new control.

    :param wanted: the control in the form of the Notebook API.
    :return: the control with all its fields, and the code that sets its variable.
    :raises ControlError: it is not a control.
    """
    try:
        control = _CONTROL.validate_python(wanted)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ControlError(f"{'.'.join(map(str, first['loc'][1:])) or 'control'}: {first['msg']}") from None
    return control.model_dump(mode="json", by_alias=True), control.code()


def set_value(cell: NotebookNode, value: Any) -> None:
    """Set the control of a cell to the value of a run's parameter.

    :raises ControlError: the control does not accept the value.
    """
    present = control_of(cell) or {}
    try:
        control = _CONTROL.validate_python(present)
    except ValidationError as error:
        raise ControlError(f"The control in the notebook is not valid: {error.errors()[0]['msg']}") from None
    set_control(cell, {**control.model_dump(mode="json", by_alias=True), **control.with_value(value)})


def _as_list(value: Any) -> list[Any]:
    """Read several values: a list, or a list as JSON, which clients send to servers that accept only strings."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ControlError(f"{value!r} is not a list: {error}") from None
    return value if isinstance(value, list) else [value]
