"""The form of **Trigger DAG** that is made of a notebook's controls, and the values that users enter in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Param

from airflow_provider_datalore.catalog.controls import LockedControl, NotAcceptedError
from airflow_provider_datalore.exceptions import DataloreConfigurationError

if TYPE_CHECKING:
    _Reference = object
else:
    try:
        from airflow.sdk.definitions.param import DagParam as _Reference
    except ImportError:  # Airflow 2
        from airflow.models.param import DagParam as _Reference


_ANY = ("string", "number", "boolean", "array", "object", "null")


def param(control: LockedControl, defaults: Mapping[str, Any]) -> Param:
    """The ``Param`` of a control.

    :param defaults: other defaults than the notebook's own, by variable.
    """
    default = defaults.get(control.variable, _own_default(control))
    schema: dict[str, Any] = {"title": control.label or control.variable, **_schema(control)}
    # A value that is missing in the form is None, which keeps the notebook's own value.
    if (default is None and not control.is_required) or default == "":
        kinds = schema.get("type")
        if isinstance(kinds, str):
            schema["type"] = [kinds, "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    if default is None and control.is_required:
        return Param(**schema)
    if isinstance(default, Decimal):
        # A Param is JSON.
        default = int(default) if default == default.to_integral_value() else float(default)
    return Param(default, **schema)


def _own_default(control: LockedControl) -> Any:
    """The value in the notebook; None if its control does not accept it, such as an item that was removed."""
    try:
        control.typed(control.default)
    except NotAcceptedError:
        return None
    return control.default


def _schema(control: LockedControl) -> dict[str, Any]:
    kind = control.value_type if control.type == "VARIABLE" else control.type
    schema: dict[str, Any] = {"type": list(_ANY)}
    if kind in ("CHECKBOX", "boolean"):
        schema = {"type": "boolean"}
    elif kind in ("SLIDER", "number"):
        bounds = {"minimum": control.min, "maximum": control.max}
        schema = {"type": "number", **{name: bound for name, bound in bounds.items() if bound is not None}}
    elif kind in ("TEXT_INPUT", "string"):
        schema = {"type": "string", **({"format": "multiline"} if control.is_multiline else {})}
    elif kind == "DATEPICKER":
        schema = {"type": "string", "format": "date"}
        if control.is_multiple:
            schema = {"type": "array", "items": schema, "minItems": 2, "maxItems": 2}
    elif kind == "DROPDOWN":
        schema = _selection(control)
    elif kind == "list":
        schema = {"type": "array"}
    return schema


def _selection(control: LockedControl) -> dict[str, Any]:
    items = list(dict.fromkeys(control.items))
    if control.is_multiple:
        each: dict[str, Any] = {"type": "string"}
        if control.is_open:
            return {"type": "array", "items": each}
        # Airflow's form offers the examples of an array as its choices.
        return {"type": "array", "items": {**each, "enum": items}, "examples": items, "uniqueItems": True}
    return {"type": "string"} if control.is_open else {"type": "string", "enum": items}


class ParamValue(_Reference):
    """The value that a user entered for a control: resolved when the task runs, without a template.

    :param name: the name of the ``Param``.
    :param control: the control, in whose type the value is handed on.
    """

    def __init__(self, name: str, control: LockedControl) -> None:
        self.name = name
        self.control = control

    def iter_references(self) -> Iterable[tuple[Any, str]]:
        """The tasks on which it depends: none."""
        return ()

    def resolve(self, context: Any, *, include_xcom: bool = True) -> Any:
        """The value in the DAG run.

        :raises DataloreConfigurationError: if the DAG has no such ``Param``.
        """
        params = context["params"]
        if self.name not in params:
            raise DataloreConfigurationError(
                f"The DAG has no param {self.name!r}, whose value entry.parameters() hands on. Create the DAG with "
                "params=entry.params(), or give the notebook a value of your own for this parameter."
            )
        value = params[self.name]
        try:
            return self.control.typed(value)
        except NotAcceptedError:
            # The task names the notebook as well when it checks its parameters.
            return value

    def serialize(self) -> Any:
        """How Airflow's UI shows it."""
        return str(self)

    def __str__(self) -> str:
        return f"{{{{ params.{self.name} }}}}"

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParamValue) and self.name == other.name

    def __hash__(self) -> int:
        return hash((ParamValue, self.name))
