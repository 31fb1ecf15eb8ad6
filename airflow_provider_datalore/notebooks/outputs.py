"""Reads the values that an executed notebook returns: glued values, and the outputs of tagged cells.

Sources: https://nteract-scrapbook.readthedocs.io/en/latest/models.html for glued values;
https://nbformat.readthedocs.io/en/latest/format_description.html#code-cell-outputs for the outputs of cells.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_datalore.api.text import NOT_STORABLE, one_line, plain, reserved_key
from airflow_provider_datalore.notebooks.literals import evaluate
from airflow_provider_datalore.notebooks.reading import CodeCell, as_displayed, code_cells, data, is_printed, text

MAX_OUTPUT_BYTES = 256 * 1024
"""Maximum size of one value as JSON."""

XCOM_TAG_PREFIX = "xcom:"
"""The prefix of the tag of a cell that returns a value; the value's name follows it."""

_MAX_DEPTH = 100
_MAX_LITERAL_CHARS = 4 * MAX_OUTPUT_BYTES
_SCRAP = re.compile(r"application/scrapbook\.scrap\.([\w.-]+)\+json")
_NOT_FINITE = frozenset({"nan", "inf", "-inf", "NaN", "Infinity", "-Infinity"})
_MISSING = re.compile(r"NaT|<NA>|np\.(?:datetime|timedelta)64\('NaT'(?:, ?'\w+')?\)")
_ENUM_MEMBER = re.compile(r"<[\w.]+\.\w+: (?P<value>[^\n]+)>")
_OBJECT = re.compile(
    r"<(?:class )?[\w.'\"]+(?: object| at 0x)[^\n]*>"
    r"|<(?:function|bound method|built-in (?:function|method)|method|module|class|coroutine|async_generator)[ -][^\n]+>"
)
"""An object that has no text form of its own, as IPython shows it, such as ``<IPython.core.display.HTML object>``."""
_RICH_MEDIA = re.compile(
    r"(?:image|audio|video)/.*|application/(?:pdf|javascript|geo\+json|vnd\.(?:jupyter\.widget|plotly|vega|bokeh|holo).*)"
)
"""Pictures, charts and widgets, whose text is only a substitute for them."""
_SHORTENED_REPR = re.compile(r"[\[{(].*^[ \t]*\.\.\.[\]})]", re.DOTALL | re.MULTILINE)
"""A list or mapping of more than a thousand entries, as IPython shows it."""


class MissingOutputError(ValueError):
    """The notebook returned no value with this name.

    :param available: the names of the values that it returned.
    """

    def __init__(self, name: str, available: list[str]) -> None:
        super().__init__(name)
        self.name = name
        self.available = available


class UnusableOutputError(ValueError):
    """The notebook returned a value that cannot be stored.

    :param problem: the reason, as the predicate of a sentence about the value.
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name
        self.problem = problem


@dataclass(frozen=True, slots=True)
class _Scrap:
    """A value that scrapbook's ``glue`` wrote."""

    encoder: str
    content: Any

    def value(self) -> Any:
        if self.encoder not in ("json", "text"):
            raise ValueError(f"is glued with encoder {self.encoder!r:.50}; use json or text")
        if self.encoder == "text" or not isinstance(self.content, str):
            return self.content
        if self.content in _NOT_FINITE:
            # How a Jupyter kernel stores a number that JSON does not support.
            raise ValueError(f"is {self.content}, which JSON does not support")
        try:
            return json.loads(self.content)
        except ValueError:
            return self.content


@dataclass(frozen=True, slots=True)
class _CellOutput:
    """The value that a tagged cell returns with its outputs."""

    cell: CodeCell

    def value(self) -> Any:
        outputs = [output for output in self.cell.outputs if not _is_side_output(output)]
        if not outputs:
            raise ValueError(f"is the value of {self.cell.label}, which has no output")
        position = _position_of_value(outputs)
        if position is None:
            raise ValueError(f"is the value of {self.cell.label}, whose output is {_described(outputs[-1])}")
        last = outputs[position]
        if is_printed(last):
            return _read_text("".join(reversed(list(_last_printed(outputs[: position + 1])))).removesuffix("\n"))
        contents = data(last)
        if "application/json" in contents:
            return contents["application/json"]
        shown = text(contents["text/plain"])
        return _read_text(shown) if last.get("output_type") == "display_data" else _read_shown(shown)


def read_outputs(content: bytes, names: Iterable[str]) -> dict[str, Any]:
    """Read values by name. If several values have the same name, the last one is used.

    :param content: the executed ``.ipynb`` file.
    :param names: the names of the values.
    :return: the values by name; JSON, and each no larger than :data:`MAX_OUTPUT_BYTES`.
    :raises NotANotebookError: if the content is not a notebook.
    :raises MissingOutputError: if the notebook returned no value with one of the names.
    :raises UnusableOutputError: if a value is not JSON, or too large.
    """
    found: dict[str, _Scrap | _CellOutput] = {}
    for cell in code_cells(content):
        found.update(_outputs_of(cell))
    return {name: _read(name, found) for name in names}


def _outputs_of(cell: CodeCell) -> Iterator[tuple[str, _Scrap | _CellOutput]]:
    for output in cell.outputs:
        for media_type, payload in data(output).items():
            if (
                _SCRAP.fullmatch(str(media_type))
                and isinstance(payload, Mapping)
                and isinstance(payload.get("name"), str)
            ):
                yield payload["name"], _Scrap(str(payload.get("encoder")), payload.get("data"))
    for tag in cell.tags:
        if tag.startswith(XCOM_TAG_PREFIX) and len(tag) > len(XCOM_TAG_PREFIX):
            yield tag.removeprefix(XCOM_TAG_PREFIX), _CellOutput(cell)


def _read(name: str, found: Mapping[str, _Scrap | _CellOutput]) -> Any:
    if name not in found:
        raise MissingOutputError(name, list(found))
    try:
        value = found[name].value()
        _check(value)
    except (ValueError, RecursionError) as problem:
        raise UnusableOutputError(name, str(problem)) from None
    return value


def _check(value: Any) -> None:
    """Check that a value can be stored as an XCom in any database, and is not too large."""
    level, depth = [value], 0
    while level:
        if depth > _MAX_DEPTH:
            raise ValueError(f"is nested deeper than {_MAX_DEPTH} levels")
        inner: list[Any] = []
        for part in level:
            if isinstance(part, float) and not math.isfinite(part):
                verb = "is" if part is value else "contains the number"
                raise ValueError(f"{verb} {part}, which JSON does not support")
            if isinstance(part, str) and re.search(NOT_STORABLE, part):
                raise ValueError("contains a character that databases do not store (U+0000 or an unpaired surrogate)")
            if isinstance(part, Mapping):
                inner += [*part, *part.values()]
            elif isinstance(part, list):
                inner += part
        level, depth = inner, depth + 1
    if key := reserved_key(value):
        raise ValueError(f"contains the key {key!r}, by which Airflow marks Python objects in XComs; rename it")
    size = len(json.dumps(value, ensure_ascii=False).encode())
    if size > MAX_OUTPUT_BYTES:
        raise ValueError(
            f"has {size} bytes as JSON, more than the limit of {MAX_OUTPUT_BYTES}; write it to a storage that other "
            "tasks can read, and return its path"
        )


def _is_side_output(output: Mapping[str, Any]) -> bool:
    """Whether an output is a warning, a progress bar or a glued value, not the value of its cell."""
    if is_printed(output):
        return "stderr" in (output.get("name"), output.get("stream"))
    return any(_SCRAP.fullmatch(str(media_type)) for media_type in data(output))


def _is_result(output: Mapping[str, Any]) -> bool:
    """Whether an output is the value of the last line of its cell."""
    return output.get("output_type") in ("execute_result", "pyout")


def _position_of_value(outputs: Sequence[Mapping[str, Any]]) -> int | None:
    """Which output is the value: the last that is JSON or text; what a cell ends with counts before what it displays.

    A kernel displays the figures of a cell after the value of its last line.
    """
    if outputs[-1].get("output_type") in ("error", "pyerr"):
        return None
    is_picture = [_is_picture(data(output)) for output in outputs]
    beside_pictures = any(is_picture)
    values = [at for at, output in enumerate(outputs) if not is_picture[at] and _is_value(output, beside_pictures)]
    results = [at for at in values if _is_result(outputs[at])]
    if not values or is_printed(outputs[values[-1]]) or not results:
        return values[-1] if values else None
    return results[-1]


def _is_picture(contents: Mapping[str, Any]) -> bool:
    return any(_RICH_MEDIA.fullmatch(str(kind)) for kind in contents)


def _is_value(output: Mapping[str, Any], beside_pictures: bool) -> bool:
    """Whether an output is JSON or text, and not an object whose text says nothing."""
    contents = data(output)
    if is_printed(output) or "application/json" in contents:
        return True
    shown = text(contents.get("text/plain")).strip()
    return "text/plain" in contents and not _is_object(shown, beside_pictures or len(contents) > 1)


def _is_object(shown: str, is_displayed: bool) -> bool:
    """Whether a text only names an object.

    :param is_displayed: whether the object, or what it made, is displayed in another way.
    """
    if _ENUM_MEMBER.fullmatch(shown) or _MISSING.fullmatch(shown):
        return False
    if is_displayed and shown.startswith("<") and shown.endswith(">") and "\n" not in shown:
        return True
    if not _OBJECT.search(shown):
        return False
    try:
        ast.literal_eval(shown[:_MAX_LITERAL_CHARS])
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return True
    return False


def _described(output: Mapping[str, Any]) -> str:
    """An output that is not a value, in words."""
    contents = data(output)
    if set(contents) == {"text/plain"}:
        return f"an object that has no value as text: {one_line(text(contents['text/plain'])[:100])}"
    types = one_line(", ".join(sorted(map(str, contents))) or str(output.get("output_type")))
    return f"not JSON or text but {types:.200}"


def _last_printed(outputs: list[Mapping[str, Any]]) -> Iterator[str]:
    """The printed outputs after the last output of another type, last one first: not every tool joins them."""
    for output in reversed(outputs):
        if not is_printed(output):
            return
        yield text(output.get("text"))


def _read_text(value: str) -> Any:
    """Parse a text as JSON; it is the text that a terminal shows if it is not JSON."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        shown = as_displayed(value)
    try:
        return shown if shown == value else json.loads(shown)
    except (ValueError, RecursionError):
        return shown


def _read_shown(value: str) -> Any:
    """Parse what a kernel shows of a cell's last value: JSON, or Python's repr of a number, string, list or mapping."""
    if value in _NOT_FINITE or _MISSING.fullmatch(value):
        raise ValueError(f"is {value}, which JSON does not support")
    if member := _ENUM_MEMBER.fullmatch(value):
        value = member["value"]
    if _SHORTENED_REPR.match(value):
        raise ValueError("is so long that IPython shows only the start of it; end the cell with print(json.dumps(…))")
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        pass
    try:
        # A round trip through JSON: what is not JSON (a set, a tuple as a key) stays text.
        literal = evaluate(value) if len(value) <= _MAX_LITERAL_CHARS else value
        return json.loads(json.dumps(literal)) if _is_json(literal) else plain(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return plain(value)


def _is_json(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(inner) for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_is_json, value))
    return value is None or isinstance(value, (str, bool, int, float))
