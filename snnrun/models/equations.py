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
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from snnrun.errors import ModelError, did_you_mean

if TYPE_CHECKING:  # what only reads declarations needs no SymPy, which takes long to import
    import sympy as sp

# Name -> the same of SymPy, and the fewest arguments.
FUNCTIONS: Mapping[str, tuple[str, int]] = {
    "exp": ("exp", 1),
    "log": ("log", 1),
    "sqrt": ("sqrt", 1),
    "tanh": ("tanh", 1),
    "abs": ("Abs", 1),
    "min": ("Min", 2),
    "max": ("Max", 2),
}
COUNTING = {**FUNCTIONS, "floor": ("floor", 1)}
Functions = Mapping[str, tuple[str, int]]
OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
RATE = re.compile(r"\s*d(?P<name>\w+)/dt\s*=(?!=)")
ASSIGNMENT = re.compile(r"\s*(?P<name>[A-Za-z_]\w*)\s*=(?!=)")
CONDITION = re.compile(r"\s*(?P<name>[A-Za-z_]\w*)\s*>=")


def symbol(name: str) -> sp.Symbol:
    """Return the (real) symbol that stands for ``name`` in every derived expression."""
    import sympy as sp

    return sp.Symbol(name, real=True)


def internal(name: str) -> sp.Symbol:
    """Return a symbol of the derivation; it differs from any symbol that a user can write."""
    import sympy as sp

    return sp.Symbol(name)  # not declared real, so unequal to symbol(name)


def parse_expression(
    text: str,
    names: set[str],
    where: str,
    line: str = "",
    at: int = 0,
    functions: Functions = FUNCTIONS,
) -> sp.Expr:
    """Return the SymPy expression of ``text``, which is read as ``read_expression`` reads it."""
    return _built(read_expression(text, names, where, line, at, functions))


def read_expression(
    text: str,
    names: set[str],
    where: str,
    line: str = "",
    at: int = 0,
    functions: Functions = FUNCTIONS,
) -> ast.expr:
    """Return the syntax tree of ``text``, in which only ``names`` may occur.

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
    _check(tree.body, names, where, line, at, functions)
    return tree.body


def names_in(tree: ast.expr) -> set[str]:
    """Return the names that stand in an expression, with those of functions."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


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


def _check(
    node: ast.AST, names: set[str], where: str, line: str, at: int, functions: Functions
) -> None:
    """Raise ModelError for what is not part of the language."""
    here = at + getattr(node, "col_offset", 0)
    parts: list[ast.expr] = []
    if isinstance(node, ast.Name):
        if node.id not in names:
            hint = did_you_mean(node.id, names)
            known = ", ".join(sorted(names)) or "no name"
            raise pointed_error(
                f"unknown name {node.id!r}.{hint} Declared: {known}", where, line, here
            )
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        parts = [node.left, node.right]
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor):
        raise pointed_error("a power is written **, not ^", where, line, here)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        parts = [node.operand]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        parts, name = node.args, node.func.id
        if name not in functions:
            hint = did_you_mean(name, functions)
            message = f"unknown function {name!r}.{hint} There are: {', '.join(functions)}"
            raise pointed_error(message, where, line, here)
        several = functions[name][1] > 1
        if (len(parts) < 2) if several else (len(parts) != 1):
            needs = "two or more arguments" if several else "one argument"
            raise pointed_error(f"{name} takes {needs}", where, line, here)
    elif not isinstance(node, ast.Constant) or type(node.value) not in (int, float):
        raise pointed_error("this is not part of the equation language", where, line, here)
    for part in parts:
        _check(part, names, where, line, at, functions)


def _built(node: ast.expr) -> sp.Expr:
    """Return the SymPy expression of a tree that was checked."""
    import sympy as sp

    match node:
        case ast.Constant(value=int()):
            return sp.Integer(node.value)
        case ast.Constant():
            return sp.Float(node.value)
        case ast.Name():
            return symbol(node.id)
        case ast.BinOp():
            return OPERATORS[type(node.op)](_built(node.left), _built(node.right))
        case ast.UnaryOp(op=ast.USub()):
            return -_built(node.operand)
        case ast.UnaryOp():
            return _built(node.operand)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return getattr(sp, COUNTING[name][0])(*map(_built, arguments))
    raise TypeError(node)


def pointed_error(message: str, where: str, line: str, column: int) -> ModelError:
    """Return an error that shows ``line`` with a caret below ``column``."""
    return ModelError(f"{where}: {message}\n    {line}\n    {' ' * column}^")
