"""Optimisers evaluated by NumPy in float64, as the numpy backend and the host of GeNN do."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from functools import cache, reduce
from types import CodeType
from typing import Any

import numpy as np

from snnrun.optimisers.optimiser import DECAY, GRADIENT, RATE, SCALE, STEP, VALUE, Update

_FUNCTIONS = {
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "abs": np.abs,
    "sign": np.sign,
    "min": lambda *values: reduce(np.minimum, values),
    "max": lambda *values: reduce(np.maximum, values),
}
SMALLEST = 1e-6  # added to the norm, as PyTorch does


@cache
def _compiled(text: str) -> CodeType:
    return compile(text, "<optimiser>", "eval")


def _value(tree: ast.expr, names: Mapping[str, Any]) -> Any:
    """Return the value of an expression that ``read_expression`` has let pass."""
    return eval(_compiled(ast.unparse(tree)), {"__builtins__": {}, **_FUNCTIONS}, dict(names))


def scale_of(update: Update, gradients: Iterable[np.ndarray]) -> float:
    """Return what the whole gradient is multiplied by, so that its norm is not above clip_norm."""
    if update.clip_norm is None:
        return 1.0
    total = np.sqrt(sum(float(np.sum(np.square(g, dtype=float))) for g in gradients))
    return float(min(1.0, update.clip_norm / (total + SMALLEST)))


def shared_values(
    update: Update, *, rate: float, step: int, weights: bool, scale: float
) -> dict[str, float]:
    """Return what the values of an array share in an update, name -> float64.

    ``weights``: whether these are weights, which may decay; ``step`` counts from 1.
    """
    decay = update.weight_decay if weights else 0.0
    names: dict[str, Any] = {**update.given, RATE: rate, DECAY: decay, SCALE: scale}
    for name, tree in update.once:
        names[name] = float(_value(tree, {**names, STEP: float(step)}))
    return {name: names[name] for name in update.shared}


def apply(
    update: Update,
    shared: Mapping[str, float],
    value: np.ndarray,
    gradient: np.ndarray,
    states: Mapping[str, np.ndarray],
) -> None:
    """Take one update of an array; ``value`` and ``states`` change in place."""
    names: dict[str, Any] = {**shared, **states, VALUE: value, GRADIENT: gradient}
    for name, tree in update.lines:
        names[name] = _value(tree, names)
    for name in update.states:
        states[name][...] = names[name]
    value[...] = names[VALUE]
