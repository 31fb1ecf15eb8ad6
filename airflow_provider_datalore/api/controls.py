"""Converts parameters to the values of controls. All values are checked before the first control is set.

Source: https://github.com/JetBrains/datalore-skills/tree/main/skills/datalore-notebook/references
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from airflow_provider_datalore.api.notebook_models import Cell
from airflow_provider_datalore.api.parameters import ParameterValue, to_datalore
from airflow_provider_datalore.api.text import one_line, shorten
from airflow_provider_datalore.exceptions import DataloreConfigurationError

Control = Mapping[str, Any]


class _NotAcceptedError(ValueError):
    """The control does not accept the value; the message says what it accepts."""


def settings_for(cells: Iterable[Cell], parameters: object) -> dict[str, dict[str, Any]]:
    """What each control must be set to, by the id of its cell.

    :param parameters: values by the *Variable* of the controls, as for a run; None leaves the control as it is.
    :raises DataloreConfigurationError: if a variable has no control, or its control does not accept the value.
    """
    values = to_datalore(parameters)
    controls = [(cell.cell_id, cell.control) for cell in cells if cell.control is not None]
    known = {control.get("variable") for _, control in controls}
    for name in values:
        if name not in known:
            raise DataloreConfigurationError(
                f"The notebook has no control with variable {name!r}.\n"
                f"It has {_listed(control for _, control in controls)}.",
                to_do="Correct the name, or add a control in Datalore.",
            )
    settings: dict[str, dict[str, Any]] = {}
    for cell_id, control in controls:
        name = str(control.get("variable"))
        if name not in values:
            continue
        try:
            settings[cell_id] = {**control, **_setting(control, values[name])}
        except _NotAcceptedError as error:
            raise DataloreConfigurationError(
                f"Parameter {name!r} is {values[name]!r:.60}, which its control does not accept.\n"
                f"The control is {describe(control)}.",
                to_do=f"It must be {error}.",
            ) from None
    return settings


def describe(control: Control) -> str:
    """Describe a control for messages: its variable, its type and its values."""
    kind = control.get("controlType")
    values = ""
    if kind == "SLIDER":
        values = f" from {control.get('min')} to {control.get('max')}"
    elif kind == "DROPDOWN" and not control.get("selectedVariable"):
        values = f" of {', '.join(map(repr, _items(control)))}"
    return f"{control.get('variable')!r} ({shorten(one_line(f'{kind}{values}'))})"


def _listed(controls: Iterable[Control]) -> str:
    return ", ".join(describe(control) for control in controls) or "no controls"


def _setting(control: Control, value: ParameterValue) -> dict[str, Any]:
    match control.get("controlType"):
        case "CHECKBOX":
            return {"value": _flag(value)}
        case "SLIDER":
            return {"value": _number(value, control)}
        case "TEXT_INPUT":
            if not isinstance(value, str):
                raise _NotAcceptedError("text")
            return {"value": value}
        case "DATEPICKER":
            return _dates(value, control)
        case "DROPDOWN":
            return _selection(value, control)
    raise _NotAcceptedError(
        "set in Datalore: this version of airflow-provider-datalore does not know this type of control"
    )


def _flag(value: ParameterValue) -> bool:
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if isinstance(value, bool):
        return value
    raise _NotAcceptedError("True or False")


def _number(value: ParameterValue, control: Control) -> str:
    least, most = control.get("min"), control.get("max")
    try:
        if isinstance(value, str) and _decimal(least, value) <= Decimal(value) <= _decimal(most, value):
            return value.strip()
    except InvalidOperation:
        pass
    raise _NotAcceptedError(shorten(one_line(f"a number from {least} to {most}")))


def _decimal(bound: object, otherwise: str) -> Decimal:
    """A bound of a slider; a missing bound allows every value."""
    return Decimal(str(bound if bound is not None else otherwise))


def _dates(value: ParameterValue, control: Control) -> dict[str, Any]:
    if not control.get("withRange"):
        return {"startDate": _date(value, "a date, such as '2026-01-31'")}
    what = "a list of the first and the last date, such as ['2026-01-01', '2026-01-31']"
    if not isinstance(value, list) or len(value) != 2:
        raise _NotAcceptedError(what)
    first, last = (_date(each, what) for each in value)
    if first > last:
        raise _NotAcceptedError(what)
    return {"startDate": first, "endDate": last}


def _date(value: object, what: str) -> str:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.time() != time():
        raise _NotAcceptedError(what)
    return moment.date().isoformat()


def _selection(value: ParameterValue, control: Control) -> dict[str, Any]:
    several = bool(control.get("multiselect"))
    chosen = value if isinstance(value, list) else [value]
    # Items that come from a variable are known only when the notebook runs.
    items = None if control.get("selectedVariable") else _items(control)
    fits = all(isinstance(each, str) and (items is None or each in items) for each in chosen)
    if not fits or (isinstance(value, list) and not several):
        raise _NotAcceptedError(
            f"{'some' if several else 'one'} of {'the items of a variable' if items is None else items}"
        )
    return {"selectedValues": chosen} if several else {"selectedValue": value}


def _items(control: Control) -> list[str]:
    items = control.get("items")
    return [item for item in items if isinstance(item, str)] if isinstance(items, list) else []
