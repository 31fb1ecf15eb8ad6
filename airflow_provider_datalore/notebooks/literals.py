"""Evaluates what a kernel shows of a Python value."""

from __future__ import annotations

import ast
import re
from typing import Any, TypeGuard

_NUMPY_SCALAR = re.compile(r"(?:u?int|float)\d+|str_")
_NUMPY_BOOLEANS = {"True_": True, "False_": False}


def evaluate(shown: str) -> Any:
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
