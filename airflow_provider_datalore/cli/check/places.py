"""Where in a DAG file a task and its arguments stand."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


def line_of(file: str, task_id: str, argument: str = "", operator: str = "") -> int:
    """The line of a task, or of an argument or a parameter of it; 1 if the file does not show it.

    :param argument: the name of an argument, or of a parameter.
    :param operator: the name of its class, by which a task is found whose ``task_id`` is computed.
    """
    name = task_id.rpartition(".")[2]
    name = re.sub(r"__\d+$", "", name)
    nodes = _nodes(file)
    found = next((node for node in nodes if _creates(node, name)), None)
    if found is None:
        found = next((node for node in nodes if _may_create(node, name, operator)), None)
    if found is None:
        return 1
    if argument:
        for inner in ast.walk(found):
            if isinstance(inner, ast.keyword) and inner.arg == argument:
                return inner.value.lineno
            if isinstance(inner, ast.Constant) and inner.value == argument:
                return inner.lineno
    return found.lineno


def line_of_error(file: str, traceback: str) -> int:
    """The line of a file in which a traceback ends; 1 if the file is not in it."""
    lines = [int(line) for name, line in _FRAME.findall(traceback) if Path(name).name == Path(file).name]
    return lines[-1] if lines else 1


def _creates(node: ast.stmt | ast.expr, name: str) -> bool:
    """Whether a node creates a task of this name: a call with this ``task_id``, or a decorated function."""
    if isinstance(node, ast.Call):
        return any(
            keyword.arg == "task_id" and isinstance(keyword.value, ast.Constant) and keyword.value.value == name
            for keyword in node.keywords
        )
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name and bool(node.decorator_list)


def _may_create(node: ast.stmt | ast.expr, name: str, operator: str) -> bool:
    """Whether a node may create a task of this name: a call whose ``task_id`` is an expression that can have it."""
    if not isinstance(node, ast.Call):
        return False
    task_id = next((keyword.value for keyword in node.keywords if keyword.arg in ("task_id", None)), None)
    if isinstance(task_id, ast.JoinedStr):
        parts = (re.escape(str(each.value)) if isinstance(each, ast.Constant) else ".*" for each in task_id.values)
        return re.fullmatch("".join(parts), name, re.DOTALL) is not None
    if task_id is None or isinstance(task_id, ast.Constant):
        return False
    names = {getattr(each, "id", None) or getattr(each, "attr", None) for each in ast.walk(node.func)}
    return operator in names


@cache
def _nodes(file: str) -> tuple[ast.stmt | ast.expr, ...]:
    """All calls and functions of a file, in order."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return ()
    return tuple(_in_order(tree))


def _in_order(tree: ast.AST) -> Iterator[ast.stmt | ast.expr]:
    found = [node for node in ast.walk(tree) if isinstance(node, (ast.Call, ast.FunctionDef, ast.AsyncFunctionDef))]
    return iter(sorted(found, key=lambda node: (node.lineno, node.col_offset)))
