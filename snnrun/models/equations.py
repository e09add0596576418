"""The equation language: ``dV/dt = (I - V) / tau_mem`` to SymPy, with errors that point.

A block of text holds one statement a line; ``#`` starts a comment. Statements are

    dX/dt = expression     an ordinary differential equation (time in ms)
    X = expression         an assignment (what a reset does, or a step in discrete time)
    X >= expression        a condition (a threshold)

Expressions know ``+ - * / **``, parentheses, numbers, names, and the functions exp, log, sqrt,
tanh, abs, min and max; a count of spikes knows floor too. Every name must have been declared, as a
state or as a parameter.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sympy as sp

from snnrun.errors import ModelError, did_you_mean

Functions = Mapping[str, Callable[..., sp.Expr]]
FUNCTIONS: Functions = {
    "exp": sp.exp,
    "log": sp.log,
    "sqrt": sp.sqrt,
    "tanh": sp.tanh,
    "abs": sp.Abs,
    "min": sp.Min,
    "max": sp.Max,
}
COUNTING: Functions = {**FUNCTIONS, "floor": sp.floor}
OPERATORS: dict[type, Callable[[Any, Any], sp.Expr]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}
RATE = re.compile(r"\s*d(?P<name>\w+)/dt\s*=(?!=)")
ASSIGNMENT = re.compile(r"\s*(?P<name>[A-Za-z_]\w*)\s*=(?!=)")
CONDITION = re.compile(r"\s*(?P<name>[A-Za-z_]\w*)\s*>=")


def symbol(name: str) -> sp.Symbol:
    """Return the (real) symbol that stands for ``name`` in every derived expression."""
    return sp.Symbol(name, real=True)


def internal(name: str) -> sp.Symbol:
    """Return a symbol of the derivation; it differs from any symbol that a user can write."""
    return sp.Symbol(name)  # not declared real, so unequal to symbol(name)


def parse_expression(
    text: str,
    names: set[str],
    where: str,
    line: str = "",
    at: int = 0,
    functions: Functions = FUNCTIONS,
) -> sp.Expr:
    """Return the SymPy expression of ``text``, in which only ``names`` may occur.

    ``line`` and ``at`` say where the text stands, for the caret of the ModelError that bad text
    raises.
    """
    line = line or text
    stripped = text.strip()
    at += len(text) - len(text.lstrip())
    if not stripped:
        raise pointed_error("an expression is missing", where, line, at)
    try:
        tree = ast.parse(stripped, mode="eval")
    except SyntaxError as error:
        message = f"this cannot be read: {error.msg}"
        raise pointed_error(message, where, line, at + (error.offset or 1) - 1) from None
    return _convert(tree.body, names, where, line, at, functions)


def parse_rates(text: str, where: str) -> list[tuple[str, str, str, int]]:
    """Return (state, expression text, line, column) of each ``dX/dt = ...`` line, in order."""
    return list(_statements(text, RATE, "dX/dt = expression", where))


def parse_assignments(text: str, where: str) -> list[tuple[str, str, str, int]]:
    """Return (name, expression text, line, column) of each ``X = ...`` line, in order."""
    return list(_statements(text, ASSIGNMENT, "X = expression", where))


def parse_condition(text: str, where: str) -> tuple[str, str, str, int]:
    """Return (state, right-hand side, line, column) of the one condition ``X >= expression``."""
    found = list(_statements(text, CONDITION, "X >= expression", where))
    if len(found) != 1:
        raise ModelError(f"{where}: one condition is needed, as in V >= v_thresh; got {len(found)}")
    return found[0]


def _statements(
    text: str, pattern: re.Pattern[str], form: str, where: str
) -> Iterator[tuple[str, str, str, int]]:
    for raw in text.splitlines():
        line = raw.split("#")[0].rstrip()
        if not line.strip():
            continue
        match = pattern.match(line)
        if match is None:
            start = len(line) - len(line.lstrip())
            raise pointed_error(f"expected a statement of the form {form}", where, line, start)
        yield match["name"], line[match.end() :], line, match.end()


def _convert(
    node: ast.AST, names: set[str], where: str, line: str, at: int, functions: Functions
) -> sp.Expr:
    def convert(child: ast.AST) -> sp.Expr:
        return _convert(child, names, where, line, at, functions)

    here = at + getattr(node, "col_offset", 0)
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return sp.Integer(node.value) if isinstance(node.value, int) else sp.Float(node.value)
    if isinstance(node, ast.Name):
        if node.id not in names:
            hint = did_you_mean(node.id, names)
            known = ", ".join(sorted(names)) or "no name"
            raise pointed_error(
                f"unknown name {node.id!r}.{hint} Declared: {known}", where, line, here
            )
        return symbol(node.id)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](convert(node.left), convert(node.right))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor):
        raise pointed_error("a power is written **, not ^", where, line, here)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -convert(node.operand)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd):
        return convert(node.operand)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        function = functions.get(node.func.id)
        if function is None:
            hint = did_you_mean(node.func.id, functions)
            known = ", ".join(functions)
            message = f"unknown function {node.func.id!r}.{hint} There are: {known}"
            raise pointed_error(message, where, line, here)
        return _call(node, function, convert, where, line, here)
    raise pointed_error("this is not part of the equation language", where, line, here)


def _call(
    node: ast.Call,
    function: Callable[..., sp.Expr],
    convert: Callable[[ast.AST], sp.Expr],
    where: str,
    line: str,
    here: int,
) -> sp.Expr:
    several = function in (sp.Min, sp.Max)
    if (len(node.args) < 2) if several else (len(node.args) != 1):
        needs = "two or more arguments" if several else "one argument"
        raise pointed_error(f"{ast.unparse(node.func)} takes {needs}", where, line, here)
    return function(*[convert(argument) for argument in node.args])


def pointed_error(message: str, where: str, line: str, column: int) -> ModelError:
    """Return an error that shows ``line`` with a caret below ``column``."""
    return ModelError(f"{where}: {message}\n    {line}\n    {' ' * column}^")
