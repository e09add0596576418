"""Equations of optimisers in C, with the order of operations in which they are written."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass

OPERATORS = {ast.Add: ("+", 1), ast.Sub: ("-", 1), ast.Mult: ("*", 2), ast.Div: ("/", 2)}
NEGATED, WHOLE = 3, 4  # how tight a sign binds, and what needs no parentheses
LONGEST_POWER = 4  # of a whole exponent, which is written as a product


@dataclass(frozen=True, kw_only=True)
class Language:
    """What differs between languages.

    ``literal`` is a number's form, in which ``{}`` stands for its digits; ``functions`` are those
    that have another name there, or are written with ``{0}`` for their argument.
    """

    literal: str
    name_of: Callable[[str], str]
    functions: Mapping[str, str]


def print_equation(language: Language, tree: ast.expr) -> str:
    """Return an expression that was read in a language."""
    return _printed(language, tree)[0]


def _printed(language: Language, tree: ast.expr) -> tuple[str, int]:
    """Return the text of an expression, and how tight it binds."""

    def inner(part: ast.expr, least: int) -> str:
        text, binds = _printed(language, part)
        return text if binds >= least else f"({text})"

    match tree:
        case ast.Constant(value=int() | float() as value):
            return language.literal.format(repr(float(value))), WHOLE
        case ast.Name(id=name):
            return language.name_of(name), WHOLE
        case ast.UnaryOp(op=ast.USub()):
            return f"-{inner(tree.operand, WHOLE)}", NEGATED
        case ast.UnaryOp():
            return _printed(language, tree.operand)
        case ast.BinOp(op=ast.Pow(), right=ast.Constant(value=int() as power)) if (
            1 <= power <= LONGEST_POWER
        ):
            return f"({' * '.join([inner(tree.left, WHOLE)] * power)})", WHOLE
        case ast.BinOp(op=ast.Pow()):
            both = f"{inner(tree.left, 0)}, {inner(tree.right, 0)}"
            return f"{language.functions.get('pow', 'pow')}({both})", WHOLE
        case ast.BinOp():
            sign, binds = OPERATORS[type(tree.op)]
            return f"{inner(tree.left, binds)} {sign} {inner(tree.right, binds + 1)}", binds
        case ast.Call(func=ast.Name(id=name)):
            function = language.functions.get(name, name)
            text = inner(tree.args[0], 0)
            for argument in tree.args[1:]:
                text = f"{text}, {inner(argument, 0)}"
                if argument is not tree.args[-1]:
                    text = f"{function}({text})"
            written = function.format(text) if "{0}" in function else f"{function}({text})"
            return written, WHOLE
    raise TypeError(tree)
