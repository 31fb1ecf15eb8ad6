"""The variables that a parameters cell sets, and their types, as far as its source shows them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

_CELL_MAGIC = re.compile(r"\s*%%(\w+)[^\n]*\n?")
_PYTHON_MAGICS = ("time", "capture", "prun")
"""Cell magics that execute the rest of the cell as Python in the notebook's namespace."""
_ASSIGNMENT = re.compile(
    r"^\s*(?:(?:val|var|let|const|local|export)\s+)?([A-Za-z_][\w.]*)\s*(?::\s*[\w<>\[\]?]+\s*)?(?:<-|=(?![=>]))\s*(.*?);?\s*$",
    re.MULTILINE,
)
"""An assignment in most other languages: ``n <- 5``, ``val n: Int = 5``, ``n=5``."""
_CONSTRUCTORS: Mapping[str, type] = {
    **{"int": int, "len": int, "hash": int, "ord": int, "float": float, "bool": bool, "isinstance": bool},
    **{"str": str, "repr": str, "format": str, "chr": str, "list": list, "sorted": list},
}

Types = dict[str, type | None]
"""The type of each variable; None if it is known only at run time, such as that of ``date.today()``."""


def python_variables(source: str) -> Types:
    """The variables that a cell sets; IPython's magics are allowed in it."""
    magic = _CELL_MAGIC.match(source)
    if magic is not None:
        if magic[1] not in _PYTHON_MAGICS:
            return {}
        source = source[magic.end() :]
    try:
        body = ast.parse(_python_of(source)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found: Types = {}
    for target, value in _assignments(body):
        _assign(target, value, found)
    return found


def other_variables(source: str) -> Types:
    """The variables that a cell in another language sets."""
    return {name: _literal_type(value) for name, value in _ASSIGNMENT.findall(source)}


def _python_of(source: str) -> str:
    """The cell as Python, in which calls replace IPython's magics."""
    transformer: Any = TransformerManager()  # type: ignore[no-untyped-call]  # IPython is partly typed
    return str(transformer.transform_cell(source))


def _assignments(body: list[ast.stmt]) -> Iterator[tuple[ast.expr, ast.expr]]:
    """The targets and values in these statements, also in those that execute under a condition."""
    for statement in body:
        match statement:
            case ast.Assign(targets=targets, value=value):
                yield from ((target, value) for target in targets)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                yield target, value
            case ast.If(body=first, orelse=second):
                yield from _assignments([*first, *second])
            case ast.With(body=inner):
                yield from _assignments(inner)
            case ast.Try(body=inner, handlers=handlers, orelse=second, finalbody=last):
                caught = [each for handler in handlers for each in handler.body]
                yield from _assignments([*caught, *inner, *second, *last])


def _assign(target: ast.expr, value: ast.expr, found: Types) -> None:
    match target, value:
        case ast.Name(id=name), _:
            found[name] = _type_of(value, found)
        case ((ast.Tuple(elts=names) | ast.List(elts=names)), (ast.Tuple(elts=values) | ast.List(elts=values))):
            if len(names) == len(values):
                for each, its_value in zip(names, values, strict=True):
                    _assign(each, its_value, found)
        case ((ast.Tuple(elts=names) | ast.List(elts=names)), _):
            found.update({name.id: None for name in names if isinstance(name, ast.Name)})


def _type_of(value: ast.expr, known: Types) -> type | None:  # noqa: PLR0911 - one line for each kind of expression
    """The type of an expression. Nothing is computed: that may take forever."""
    match value:
        case ast.Constant(value=constant):
            return type(constant)
        case ast.Name(id=name):
            return known.get(name)
        case ast.JoinedStr():
            return str
        case ast.List() | ast.ListComp():
            return list
        case ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return bool
        case ast.UnaryOp(operand=operand):
            kind = _type_of(operand, known)
            return int if kind is bool else kind
        case ast.BinOp(left=left, op=operator, right=right):
            return _operation(_type_of(left, known), operator, _type_of(right, known))
        case ast.BoolOp() | ast.IfExp():
            kinds = {_type_of(each, known) for each in _alternatives(value)}
            return kinds.pop() if len(kinds) == 1 else None
        case ast.Call(func=ast.Name(id=name)):
            return _CONSTRUCTORS.get(name)
        case ast.Dict() | ast.DictComp():
            return dict
        case ast.Tuple():
            return tuple
    return None


def _alternatives(value: ast.expr) -> list[ast.expr]:
    match value:
        case ast.BoolOp(values=values):
            return values
        case ast.IfExp(body=first, orelse=second):
            return [first, second]
    return []


def _operation(left: type | None, operator: ast.operator, right: type | None) -> type | None:
    numbers = (bool, int, float)
    if left in numbers and right in numbers:
        if isinstance(operator, ast.Div):
            return float
        return float if float in (left, right) else int
    if isinstance(operator, ast.Mult) and int in (left, right):
        return left if right is int else right
    if isinstance(operator, ast.Mod) and left is str:
        return str
    return left if left is right and isinstance(operator, ast.Add) else None


def _literal_type(text: str) -> type | None:
    text = text.strip()
    if text.lower() in ("true", "false"):
        return bool
    if re.fullmatch(r"[+-]?\d+L?", text):
        return int
    if re.fullmatch(r"[+-]?(?:\d+\.\d*|\.?\d+)(?:[eE][+-]?\d+)?", text):
        return float
    if re.fullmatch(r"""(["']).*\1""", text):
        return str
    return None
