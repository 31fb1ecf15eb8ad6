"""Reads the values that an executed notebook returns: glued values, and the outputs of tagged cells.

Sources: https://nteract-scrapbook.readthedocs.io/en/latest/models.html for glued values;
https://nbformat.readthedocs.io/en/latest/format_description.html#code-cell-outputs for the outputs of cells.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from airflow_provider_datalore.api.text import NOT_STORABLE, one_line, plain, reserved_key
from airflow_provider_datalore.notebooks.reading import CodeCell, code_cells, data, is_printed, text

MAX_OUTPUT_BYTES = 256 * 1024
"""Maximum size of one value as JSON."""

XCOM_TAG_PREFIX = "xcom:"
"""The prefix of the tag of a cell that returns a value; the value's name follows it."""

_MAX_DEPTH = 100
_MAX_TEXT_CHARS = 4 * MAX_OUTPUT_BYTES
_SCRAP = re.compile(r"application/scrapbook\.scrap\.([\w.-]+)\+json")
_NOT_FINITE = frozenset({"nan", "inf", "-inf", "NaN", "Infinity", "-Infinity"})
_NUMPY_SCALAR = re.compile(r"(?:u?int|float)\d+|str_")
_NUMPY_BOOLEANS = {"True_": True, "False_": False}
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
        last = outputs[-1]
        if is_printed(last):
            return _read_text("".join(reversed(list(_last_printed(outputs)))).removesuffix("\n"))
        contents = data(last)
        if "application/json" in contents:
            return contents["application/json"]
        if "text/plain" not in contents:
            types = one_line(", ".join(sorted(map(str, contents))) or str(last.get("output_type")))
            raise ValueError(f"is the value of {self.cell.label}, whose output is not JSON or text but {types:.200}")
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
            if isinstance(part, str) and NOT_STORABLE.search(part):
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


def _last_printed(outputs: list[Mapping[str, Any]]) -> Iterator[str]:
    """The printed outputs after the last output of another type, last one first: not every tool joins them."""
    for output in reversed(outputs):
        if not is_printed(output):
            return
        yield text(output.get("text"))


def _read_text(value: str) -> Any:
    """Parse a text as JSON; it stays text if it is not JSON."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return _plain(value)


def _plain(value: str) -> str:
    """Remove terminal codes, unless the value is too large anyway."""
    return plain(value) if len(value) <= _MAX_TEXT_CHARS else value


def _read_shown(value: str) -> Any:
    """Parse what a kernel shows of a cell's last value: JSON, or Python's repr of a number, string, list or mapping."""
    if value in _NOT_FINITE:
        raise ValueError(f"is {value}, which JSON does not support")
    if _SHORTENED_REPR.match(value):
        raise ValueError("is so long that IPython shows only the start of it; end the cell with print(json.dumps(…))")
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        pass
    try:
        # A round trip through JSON: what is not JSON (a set, a tuple as a key) stays text.
        literal = _evaluate(value) if len(value) <= _MAX_TEXT_CHARS else value
        return json.loads(json.dumps(literal)) if _is_json(literal) else _plain(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return _plain(value)


def _evaluate(shown: str) -> Any:
    """Evaluate a Python literal that may contain NumPy's numbers and numbers that are not finite.

    :raises ValueError: if it is not a literal; :func:`ast.parse` raises several other exceptions.
    """
    return ast.literal_eval(_LiteralTransformer().visit(ast.parse(shown, mode="eval")))


class _LiteralTransformer(ast.NodeTransformer):
    """Replaces the numbers whose repr is not a literal, such as ``np.int64(1)``, by literals."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if _is_numpy_attribute(node.func) and _NUMPY_SCALAR.fullmatch(node.func.attr) and len(node.args) == 1:
            scalar: ast.AST = self.visit(node.args[0])
            return scalar
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if _is_numpy_attribute(node) and node.attr in _NUMPY_BOOLEANS:
            return ast.Constant(_NUMPY_BOOLEANS[node.attr])
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(float(node.id)) if node.id in ("nan", "inf") else node


def _is_numpy_attribute(node: ast.expr) -> TypeGuard[ast.Attribute]:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np"


def _is_json(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(inner) for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_is_json, value))
    return value is None or isinstance(value, (str, bool, int, float))
