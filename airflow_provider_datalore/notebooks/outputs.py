"""Finds in an executed notebook the values that it hands back: what it glued, and what its tagged cells left.

Sources: https://nteract-scrapbook.readthedocs.io/en/latest/models.html for glued values;
https://nbformat.readthedocs.io/en/latest/format_description.html#code-cell-outputs for what cells leave.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from airflow_provider_datalore.api.text import NOT_STORABLE
from airflow_provider_datalore.notebooks.reading import CodeCell, code_cells, data, is_printed, plain, text

MAX_OUTPUT_BYTES = 256 * 1024
"""Bytes of JSON that one value may have."""

XCOM_TAG_PREFIX = "xcom:"
"""What the tag of a cell begins with that leaves a value; the value's name follows."""

_MAX_DEPTH = 100
_MAX_TEXT_CHARS = 4 * MAX_OUTPUT_BYTES
_SCRAP = re.compile(r"application/scrapbook\.scrap\.([\w.-]+)\+json")
_NOT_FINITE = frozenset({"nan", "inf", "-inf", "NaN", "Infinity", "-Infinity"})
_NUMPY_SCALAR = re.compile(r"(?:u?int|float)\d+|str_")
_NUMPY_BOOLEANS = {"True_": True, "False_": False}
_SHORTENED_REPR = re.compile(r"[\[{(].*^[ \t]*\.\.\.[\]})]", re.DOTALL | re.MULTILINE)
"""How IPython shows a list or mapping of more than a thousand entries."""


class MissingOutputError(ValueError):
    """The notebook left no value of this name.

    :param available: the names of those that it left.
    """

    def __init__(self, name: str, available: list[str]) -> None:
        super().__init__(name)
        self.name = name
        self.available = available


class UnusableOutputError(ValueError):
    """The notebook left a value that cannot be handed on.

    :param problem: why, in words that follow "it".
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name
        self.problem = problem


@dataclass(frozen=True, slots=True)
class _Scrap:
    """A value as scrapbook's ``glue`` leaves it."""

    encoder: str
    content: Any

    def value(self) -> Any:
        if self.encoder not in ("json", "text"):
            raise ValueError(f"is glued as {self.encoder!r:.50}; glue it as JSON or text")
        if self.encoder == "text" or not isinstance(self.content, str):
            return self.content
        if self.content in _NOT_FINITE:
            # What a Jupyter kernel makes of a number that JSON does not have.
            raise ValueError(f"is {self.content}, which JSON does not have")
        try:
            return json.loads(self.content)
        except ValueError:
            return self.content


@dataclass(frozen=True, slots=True)
class _Left:
    """What a tagged cell left."""

    cell: CodeCell

    def value(self) -> Any:
        outputs = [output for output in self.cell.outputs if not _is_aside(output)]
        if not outputs:
            raise ValueError(f"is the value of {self.cell.label}, which left no output")
        last = outputs[-1]
        if is_printed(last):
            return _read_text("".join(reversed(list(_printed_last(outputs)))).removesuffix("\n"))
        left = data(last)
        if "application/json" in left:
            return left["application/json"]
        if "text/plain" not in left:
            kinds = ", ".join(sorted(map(str, left))) or str(last.get("output_type"))
            raise ValueError(f"is the value of {self.cell.label}, which left no JSON or text, but {kinds:.200}")
        shown = text(left["text/plain"])
        return _read_text(shown) if last.get("output_type") == "display_data" else _read_shown(shown)


def read_outputs(content: bytes, names: Iterable[str]) -> dict[str, Any]:
    """The values of these names. Of several with the same name the last counts.

    :param content: the executed ``.ipynb`` file.
    :param names: which values.
    :return: by name; JSON all of it, and each no longer than :data:`MAX_OUTPUT_BYTES`.
    :raises NotANotebookError: if the content is no notebook.
    :raises MissingOutputError: for a name that the notebook left no value of.
    :raises UnusableOutputError: for a value that is no JSON, or too long.
    """
    found: dict[str, _Scrap | _Left] = {}
    for cell in code_cells(content):
        found.update(_left_by(cell))
    return {name: _read(name, found) for name in names}


def _left_by(cell: CodeCell) -> Iterator[tuple[str, _Scrap | _Left]]:
    for output in cell.outputs:
        for kind, payload in data(output).items():
            if _SCRAP.fullmatch(str(kind)) and isinstance(payload, Mapping) and isinstance(payload.get("name"), str):
                yield payload["name"], _Scrap(str(payload.get("encoder")), payload.get("data"))
    for tag in cell.tags:
        if tag.startswith(XCOM_TAG_PREFIX) and len(tag) > len(XCOM_TAG_PREFIX):
            yield tag.removeprefix(XCOM_TAG_PREFIX), _Left(cell)


def _read(name: str, found: Mapping[str, _Scrap | _Left]) -> Any:
    if name not in found:
        raise MissingOutputError(name, list(found))
    try:
        value = found[name].value()
        _check(value)
    except (ValueError, RecursionError) as problem:
        raise UnusableOutputError(name, str(problem)) from None
    return value


def _check(value: Any) -> None:
    """Make sure that a value can be kept as XCom in any database, and is no longer than it may be."""
    level, depth = [value], 0
    while level:
        if depth > _MAX_DEPTH:
            raise ValueError(f"is nested deeper than {_MAX_DEPTH} levels")
        inner: list[Any] = []
        for part in level:
            if isinstance(part, float) and not math.isfinite(part):
                told = f"is {part}" if part is value else f"has the number {part} in it"
                raise ValueError(f"{told}, which JSON does not have")
            if isinstance(part, str) and NOT_STORABLE.search(part):
                raise ValueError("has a character in it that databases do not take (U+0000, or half of a pair)")
            if isinstance(part, Mapping):
                inner += [*part, *part.values()]
            elif isinstance(part, list):
                inner += part
        level, depth = inner, depth + 1
    length = len(json.dumps(value, ensure_ascii=False).encode())
    if length > MAX_OUTPUT_BYTES:
        raise ValueError(
            f"has {length} bytes as JSON, more than the {MAX_OUTPUT_BYTES} that it may have; write it to where "
            "other tasks can read it, and hand back where that is"
        )


def _is_aside(output: Mapping[str, Any]) -> bool:
    """Whether it is a warning, a progress bar or something that was glued, and not what the cell is about."""
    if is_printed(output):
        return "stderr" in (output.get("name"), output.get("stream"))
    return any(_SCRAP.fullmatch(str(kind)) for kind in data(output))


def _printed_last(outputs: list[Mapping[str, Any]]) -> Iterator[str]:
    """What was printed since the last output of another kind, the last first: not every tool joins it."""
    for output in reversed(outputs):
        if not is_printed(output):
            return
        yield text(output.get("text"))


def _read_text(value: str) -> Any:
    """Text, or the JSON that it is."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return _plain(value)


def _plain(value: str) -> str:
    """What is too long in any case may be so as it is."""
    return plain(value) if len(value) <= _MAX_TEXT_CHARS else value


def _read_shown(value: str) -> Any:
    """What a kernel shows of a cell's last value: JSON, or how Python writes a number, a string, a list, a mapping."""
    if value in _NOT_FINITE:
        raise ValueError(f"is {value}, which JSON does not have")
    if _SHORTENED_REPR.match(value):
        raise ValueError("is so long that IPython shows only its beginning; end the cell with print(json.dumps(…))")
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        pass
    try:
        # Back from JSON, so that what is no JSON (a set, a tuple as a key) stays the text that it is.
        literal = _evaluate(value) if len(value) <= _MAX_TEXT_CHARS else value
        return json.loads(json.dumps(literal)) if _is_json(literal) else _plain(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return _plain(value)


def _evaluate(shown: str) -> Any:
    """What Python shows as a literal, in which NumPy's numbers and those that are not finite may stand.

    :raises ValueError: if it is none, or one of several other errors of :func:`ast.parse`.
    """
    return ast.literal_eval(_AsLiterals().visit(ast.parse(shown, mode="eval")))


class _AsLiterals(ast.NodeTransformer):
    """Makes a literal of each number that Python does not show as one."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if _of_numpy(node.func) and _NUMPY_SCALAR.fullmatch(node.func.attr) and len(node.args) == 1:
            scalar: ast.AST = self.visit(node.args[0])
            return scalar
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        return ast.Constant(_NUMPY_BOOLEANS[node.attr]) if _of_numpy(node) and node.attr in _NUMPY_BOOLEANS else node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(float(node.id)) if node.id in ("nan", "inf") else node


def _of_numpy(node: ast.expr) -> TypeGuard[ast.Attribute]:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np"


def _is_json(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(inner) for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_is_json, value))
    return value is None or isinstance(value, (str, bool, int, float))
