"""What the lock file says about a notebook, read from Datalore's cells or from an ``.ipynb`` file."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_datalore.api.text import one_line, plain, storable
from airflow_provider_datalore.catalog.code import CodeOfCell
from airflow_provider_datalore.notebooks.reading import INJECTED_TAG, raw_cells, tags_of, text

if TYPE_CHECKING:
    from airflow_provider_datalore.api.notebook_models import Cell

MAX_DESCRIPTION_CHARS = 1000
MAX_ITEMS = 10_000
"""Maximum number of items of a dropdown that are listed; with more of them, Datalore alone knows which it accepts."""
PARAMETERS_TAG = "parameters"
SEVERAL = "SEVERAL"
"""The type of a variable that several different controls set."""

_HEADING = re.compile(r"#{1,6}(\s|$)")
_BLOCK = re.compile(r"[-*+|>]|\d+[.)]\s|```")
_PLAIN_NUMBER = re.compile(r"[+-]?\d{1,15}")


@dataclass(frozen=True, slots=True)
class SourceCell:
    """A cell of a notebook, from wherever it was read.

    :param kind: ``CODE``, ``SQL``, ``CONTROL`` or ``MARKDOWN``, as in the Notebook API.
    :param number: its position, counted from 1.
    """

    kind: str
    number: int
    source: str = ""
    tags: tuple[str, ...] = ()
    control: Mapping[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> CodeOfCell:
        """Its code, for comparisons."""
        first = next((line.strip() for line in self.source.splitlines() if line.strip()), "")
        return CodeOfCell(f"cell {self.number}, starting with {one_line(first)[:80]!r}", self.source)


@dataclass(frozen=True, slots=True)
class Source:
    """The cells of a notebook and its language."""

    cells: tuple[SourceCell, ...]
    language: str
    shows_controls: bool
    """Whether all controls are among the cells: in a file, it is not known which control cells were left out."""


def of_cells(cells: Iterable[Cell]) -> Source:
    """Read the cells of the Notebook API."""
    read: list[SourceCell] = []
    language = ""
    for number_of_cell, cell in enumerate(cells, start=1):
        tags = cell.data.get("tags")
        read.append(
            SourceCell(
                kind=cell.cell_type,
                number=number_of_cell,
                source=cell.source,
                tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
                control=cell.control or {},
            )
        )
        if cell.cell_type == "CODE" and not language:
            language = one_line(str(cell.data.get("language") or ""))[:50].lower()
    return Source(tuple(read), language or "python", shows_controls=True)


def of_file(content: bytes) -> Source:
    """Read an ``.ipynb`` file, executed or not.

    :raises NotANotebookError: if the content is not a notebook.
    """
    language, cells = raw_cells(content)
    read: list[SourceCell] = []
    for number, cell in cells:
        source = text(cell.get("source", cell.get("input")))
        tags = tags_of(cell)
        if cell.get("cell_type") == "markdown":
            read.append(SourceCell("MARKDOWN", number, source, tags))
        elif cell.get("cell_type") == "code" and INJECTED_TAG not in tags:
            control = _control_in_file(cell)
            read.append(SourceCell("CONTROL" if control else "CODE", number, source, tags, control))
    knows = any(cell.kind == "CONTROL" or PARAMETERS_TAG in cell.tags for cell in read)
    return Source(tuple(read), language or "python", shows_controls=knows)


def code_of(source: Source) -> list[CodeOfCell]:
    """The code that a run executes."""
    return [cell.code for cell in source.cells if cell.kind in ("CODE", "SQL") and cell.source.strip()]


def facts_of(source: Source) -> dict[str, Any]:
    """The facts about a notebook, except its name and ids, in the order of the lock file."""
    controls: dict[str, dict[str, Any]] = {}
    for variable, control in _controls(source):
        is_other = controls.setdefault(variable, control) != control
        if is_other:
            # Which of them accepts a value is known to Datalore only.
            controls[variable] = {"type": SEVERAL}
    facts: dict[str, Any] = {"language": source.language}
    if description := _description(source):
        facts["description"] = description
    if source.shows_controls:
        facts["controls"] = controls
    facts["cells"] = [code.hash for code in code_of(source)]
    # A notebook can contain half of a character, which no file can.
    stored: dict[str, Any] = storable(facts)
    return stored


def heading_of(source: Source) -> str:
    """The first heading; empty if there is none."""
    for cell in source.cells:
        for line in cell.source.splitlines() if cell.kind == "MARKDOWN" else ():
            if _HEADING.match(line.strip()):
                return one_line(line.strip().strip("#"))[:200]
    return ""


def _control_in_file(cell: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = cell.get("metadata")
    own = metadata.get("datalore") if isinstance(metadata, Mapping) else None
    control = own.get("control") if isinstance(own, Mapping) else None
    return control if isinstance(control, Mapping) else {}


def _description(source: Source) -> str:
    """The first paragraph that is not a heading."""
    for cell in source.cells:
        if cell.kind != "MARKDOWN":
            continue
        for paragraph in re.split(r"\n[ \t]*\n", plain(cell.source.replace("\r", ""))):
            lines = [line.strip() for line in paragraph.splitlines()]
            kept = [line for line in lines if line and not _HEADING.match(line)]
            if kept:
                # A line break within a paragraph is a blank, except in lists, tables and quotations.
                joined = ("\n" if any(map(_BLOCK.match, kept)) else " ").join(kept)
                return joined if len(joined) <= MAX_DESCRIPTION_CHARS else joined[:MAX_DESCRIPTION_CHARS] + "…"
    return ""


def _controls(source: Source) -> Iterable[tuple[str, dict[str, Any]]]:
    for cell in source.cells:
        variable = cell.control.get("variable")
        if isinstance(variable, str) and variable:
            yield one_line(variable), _control(cell.control)
    for cell in source.cells:
        if cell.kind == "CODE" and PARAMETERS_TAG in cell.tags:
            # Of several assignments, the last one counts.
            yield from dict(_variables(cell.source)).items()


def _control(control: Mapping[str, Any]) -> dict[str, Any]:
    """The facts about one control of the Notebook API."""
    kind = one_line(str(control.get("controlType") or ""))
    facts: dict[str, Any] = {"type": kind}
    if isinstance(label := control.get("label"), str) and label.strip():
        facts["label"] = one_line(label)
    match kind:
        case "CHECKBOX":
            facts["default"] = control.get("value") if isinstance(control.get("value"), bool) else False
        case "SLIDER":
            numbers = {name: number(control.get(name)) for name in ("min", "max", "step")}
            facts.update({name: each for name, each in numbers.items() if each is not None})
            facts["default"] = number(control.get("value"))
        case "TEXT_INPUT":
            if control.get("multiline") is True:
                facts["multiline"] = True
            facts["default"] = _clean(control.get("value"))
        case "DATEPICKER":
            first, last = (_day(control.get(name)) for name in ("startDate", "endDate"))
            if control.get("withRange") is True:
                facts["range"] = True
                facts["default"] = [first, last] if first and last else None
            else:
                facts["default"] = first
        case "DROPDOWN":
            facts.update(_dropdown(control))
    if facts.get("default") is None:
        facts.pop("default", None)
    return facts


def _dropdown(control: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    several = control.get("multiselect") is True
    if several:
        facts["multiselect"] = True
    if control.get("selectedVariable"):
        facts["dynamic"] = True
    else:
        items = _texts(control.get("items"))
        facts["items"] = items[:MAX_ITEMS]
        if len(items) > MAX_ITEMS:
            facts["more_items"] = len(items) - MAX_ITEMS
    facts["default"] = _texts(control.get("selectedValues")) if several else _clean(control.get("selectedValue"))
    return facts


def _variables(source: str) -> Iterable[tuple[str, dict[str, Any]]]:
    """The variables of a cell tagged ``parameters``, which has the role of controls in the emulator."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, _variable(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, _variable(value)


def _variable(expression: ast.expr) -> dict[str, Any]:
    facts: dict[str, Any] = {"type": "VARIABLE"}
    try:
        value = ast.literal_eval(expression)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return facts
    kinds = {bool: "boolean", int: "number", float: "number", str: "string"}
    elements = value if isinstance(value, list) else [value]
    if any(type(each) not in kinds or (isinstance(each, float) and not math.isfinite(each)) for each in elements):
        return facts
    if not isinstance(value, list):
        return {**facts, "value_type": kinds[type(value)], "default": value}
    return {**facts, "value_type": "list", "default": value}


def number(value: object) -> int | float | None:
    """A number that the Notebook API has as text; None if it is not finite."""
    shown = str(value).strip()
    if value is None or isinstance(value, bool):
        return None
    if _PLAIN_NUMBER.fullmatch(shown):
        return int(shown)
    try:
        found = float(shown)
    except ValueError:
        return None
    return found if abs(found) != float("inf") and found == found else None  # noqa: PLR0124  (NaN is not itself)


def _day(value: object) -> str | None:
    return value[:10] if isinstance(value, str) and re.match(r"\d{4}-\d{2}-\d{2}", value) else None


def _clean(value: object) -> str | None:
    found = _texts([value])
    return plain(found[0]) if found else None


def _texts(values: object) -> list[str]:
    """The texts of a list. A number counts as its text, in which it is sent."""
    kinds = (str, int, float)
    elements = values if isinstance(values, list) else []
    return [str(each) for each in elements if isinstance(each, kinds) and not isinstance(each, bool)]
