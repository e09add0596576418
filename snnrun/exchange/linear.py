"""Linear nodes of a NIR file as maps, and the shapes of the arrays between nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from snnrun.connectivity import Shape
from snnrun.errors import ModelError
from snnrun.exchange import maps
from snnrun.exchange.maps import Map
from snnrun.exchange.nodes import LINEAR, NEURONS, Nodes, kind_of, own_of

# Shapes, as files have them: [neurons], [channels, length] or [channels, rows, columns]


def ours(shape: Shape) -> Shape:
    """Return a file's shape with the channels last."""
    return (*shape[1:], shape[0]) if len(shape) > 1 else shape


def numbering(shape: Shape) -> np.ndarray:
    """Return the number here of each element of a file's array, in the order of the file."""
    numbers = np.arange(prod(shape)).reshape(ours(shape))
    return np.moveaxis(numbers, -1, 0).ravel()


def reshaped(before: Shape, after: Shape) -> Map:
    """Return the map that gives a file's array another shape of the same size."""
    found = maps.one_to_one(np.ones(prod(before)))
    pre, post = numbering(before), numbering(after)
    order = np.argsort(pre)
    return Map(
        shape=found.shape,
        pre=pre[order],
        post=post[order],
        factor=found.factor,
        place=found.place,
        bias=found.bias,
        permutes=True,
    )


def parameters_shape(name: str, node: Any) -> Shape:
    """Return the shape that a neuron's parameters have together."""
    arrays = {k: np.asarray(v) for k, v in vars(node).items() if k in PARAMETERS and v is not None}
    try:
        shape = np.broadcast_shapes(*(a.shape for a in arrays.values()))
    except ValueError:
        told = ", ".join(f"{k} {list(a.shape)}" for k, a in arrays.items())
        raise ModelError(
            f"node {name} ({kind_of(node)}): parameters of other shapes: {told}"
        ) from None
    return tuple(int(n) for n in shape) or (1,)


PARAMETERS = ("tau", "tau_mem", "tau_syn", "r", "v_leak", "v_threshold", "v_reset", "w_in")


def pair(value: Any, axes: int) -> tuple[int, ...]:
    """Return a whole number for each axis."""
    numbers = [int(n) for n in np.asarray(value).reshape(-1)]
    return tuple(numbers * axes) if len(numbers) == 1 else tuple(numbers)


def stages(name: str, node: Any, before: Shape) -> tuple[Map, Shape]:
    """Return what a linear node makes of an array of the shape ``before``, and its shape.

    Raises:
        ModelError: The node does not fit what leads to it; the message names it.
    """
    try:
        return _STAGES[kind_of(node)](node, before)
    except (ValueError, IndexError, AssertionError) as error:
        raise ModelError(
            f"node {name} ({kind_of(node)}) does not fit its input of shape {list(before)}: {error}"
        ) from error
    except ModelError as error:
        raise ModelError(f"node {name} ({kind_of(node)}): {error}") from error


def _affine(node: Any, before: Shape) -> tuple[Map, Shape]:
    weight = np.asarray(node.weight, float)
    if weight.ndim != 2:
        raise ModelError(f"its weight has the shape {list(weight.shape)}; a matrix is needed")
    if prod(before) != weight.shape[1]:
        raise ModelError(
            f"its weight {list(weight.shape)} takes {weight.shape[1]} inputs, and its input has "
            f"the shape {list(before)}"
        )
    bias = np.asarray(getattr(node, "bias", 0.0), float)
    own = own_of(node) or {}
    found = maps.dense(weight.T, np.broadcast_to(bias, weight.shape[0]), "zeros" in own)
    if len(before) > 1:
        found = reshaped(before, (prod(before),)).then(found)
    return found, (weight.shape[0],)


def _scale(node: Any, before: Shape) -> tuple[Map, Shape]:
    scale = np.broadcast_to(np.asarray(node.scale, float), before)
    return maps.one_to_one(scale.ravel()[np.argsort(numbering(before))]), before


def _conv(node: Any, before: Shape) -> tuple[Map, Shape]:
    weight = np.asarray(node.weight, float)  # [c_out, c_in / groups, ...]
    axes, groups = weight.ndim - 2, int(node.groups)
    channels, asked = weight.shape[1] * groups, before
    if len(before) != axes + 1:
        if node.input_shape is None:
            raise ModelError(
                f"it needs an input [channels, {'rows, columns' if axes == 2 else 'length'}], and "
                f"gets the shape {list(before)}"
            )
        asked = (channels, *pair(node.input_shape, axes))
    if asked[0] != channels or prod(asked) != prod(before):
        raise ModelError(f"it takes {channels} channels, and its input is {list(before)}")
    padding = node.padding.decode() if isinstance(node.padding, bytes) else node.padding
    bias = np.asarray(0.0 if node.bias is None else node.bias, float)
    found, shape = maps.convolution(
        ours(asked),
        np.moveaxis(weight, (0, 1), (-1, -2)),
        np.broadcast_to(bias, weight.shape[0]),
        stride=pair(node.stride, axes),
        padding=padding if isinstance(padding, str) else pair(padding, axes),
        dilation=pair(node.dilation, axes),
        groups=groups,
    )
    first = found if asked == before else reshaped(before, asked).then(found)
    return first, (shape[-1], *shape[:-1])


def _pool(node: Any, before: Shape) -> tuple[Map, Shape]:
    if len(before) != 3:
        raise ModelError(f"it needs an input [channels, rows, columns], not {list(before)}")
    kernel = pair(node.kernel_size, 2)
    factor = 1 / prod(kernel) if kind_of(node) == "AvgPool2d" else 1.0
    found, shape = maps.pooling(
        ours(before), kernel, pair(node.stride, 2), pair(node.padding, 2), factor
    )
    return found, (shape[-1], *shape[:-1])


def _flatten(node: Any, before: Shape) -> tuple[Map, Shape]:
    first, last = int(node.start_dim), int(node.end_dim)
    known = getattr(node, "input_type", None) or {}
    given = known.get("input")
    if given is not None and len(np.atleast_1d(given)) == len(before) + 1:  # it counts a batch too
        first, last = max(first - 1, 0), last - 1 if last > 0 else last
    axes = range(len(before))[first : None if last == -1 else last + 1]
    if len(axes) < 2:
        return reshaped(before, before), before
    after = (*before[: axes[0]], prod(before[a] for a in axes), *before[axes[-1] + 1 :])
    return reshaped(before, after), after


_STAGES = {
    "Affine": _affine,
    "Linear": _affine,
    "Scale": _scale,
    "Conv1d": _conv,
    "Conv2d": _conv,
    "SumPool2d": _pool,
    "AvgPool2d": _pool,
    "Flatten": _flatten,
}


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """What is known of the arrays in a graph.

    Args:
        after: Node -> shape of what leaves it, as files have shapes.
        before: Linear node -> shape of what it takes.
        maps: Linear node -> its map.
    """

    after: Mapping[str, Shape]
    before: Mapping[str, Shape]
    maps: Mapping[str, Map]


def shapes_of(graph: Nodes) -> Shapes:
    """Return the shapes that the file or the neighbours of its nodes say.

    Raises:
        ModelError: A node does not fit what leads to it, or nothing with a shape leads to it.
    """
    after: dict[str, Shape] = {}
    before: dict[str, Shape] = {}
    found: dict[str, Map] = {}
    for name, node in graph.nodes.items():
        if kind_of(node) in NEURONS and prod(shape := parameters_shape(name, node)) > 1:
            after[name] = shape
        elif kind_of(node) == "Input" and not graph.before(name):
            after[name] = _input_shape(name, node)
    waiting = [name for name in graph.nodes if name not in after]
    while ready := [n for n in waiting if any(b in after for b in graph.before(n))]:
        for name in ready:
            node = graph.nodes[name]
            after[name] = before[name] = next(after[b] for b in graph.before(name) if b in after)
            if kind_of(node) in LINEAR:
                found[name], after[name] = stages(name, node, before[name])
        waiting = [name for name in waiting if name not in ready]
    if waiting:
        raise ModelError(f"nothing leads from an input to node {waiting[0]}; take it out")
    return Shapes(after=after, before=before, maps=found)


def _input_shape(name: str, node: Any) -> Shape:
    given = (node.input_type or {}).get("input")
    if given is None:
        raise ModelError(f"node {name} (Input) has no shape; write the file with one")
    return tuple(int(n) for n in np.atleast_1d(np.asarray(given)))
