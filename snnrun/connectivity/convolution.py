"""Connections by place: convolutions, whose synapses share weights, and pooling.

Populations have a shape whose last axis is that of channels, as [rows, columns, channels], and
neuron [y, x, c] of [Y, X, C] has number (y X + x) C + c. Along each other axis, with kernel k,
stride s and padding p, target i is connected with the sources i s - p + t, t = 0 .. k - 1, that
there are. Of n sources it makes (n + 2 p - k) / s + 1 targets, rounded down; with padding ``same``
n / s, rounded up, and what has to be added is split into halves, the larger one at the end.

A convolution has a weight for each place t in the kernel and each pair of channels, of shape
[rows, columns, c_in, c_out]; a spike adds a run of c_out of them to each of its targets' places.
Pooling connects each channel with itself, all by one weight that is not learned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import repeat
from typing import Any

import numpy as np

from snnrun.connectivity import Connectivity, Ends, Shape, option, size_of
from snnrun.connectivity.synapses import Synapses
from snnrun.errors import ModelError
from snnrun.keys.kinds import FLOAT, INT, Kind, shown

SAME = "same"
WANTED = {1: "[length, channels]", 2: "[rows, columns, channels]"}  # by axes beside channels
Sides = int | tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A convolution along one axis of sources and targets."""

    sources: int
    kernel: int
    stride: int
    before: int  # padding
    targets: int

    @classmethod
    def of(cls, sources: int, kernel: int, stride: int, padding: int | str) -> Axis:
        """Return it; ModelError where the kernel is larger than what it is laid on."""
        if padding == SAME:
            targets = -(-sources // stride)
            before = max(0, (targets - 1) * stride + kernel - sources) // 2
        else:
            assert not isinstance(padding, str)
            before = padding
            targets = (sources + 2 * padding - kernel) // stride + 1
        return cls(sources=sources, kernel=kernel, stride=stride, before=before, targets=targets)

    def taps(self) -> np.ndarray:
        """Return source, target and place in the kernel of each connection, integers [3, n]."""
        target, place = np.divmod(np.arange(self.targets * self.kernel), self.kernel)
        source = target * self.stride - self.before + place
        there = (source >= 0) & (source < self.sources)
        return np.stack([source, target, place])[:, there]


def axes_of(
    ends: Ends, axes: Sequence[int], kernel: Sides, stride: Sides, padding: Sides | str
) -> list[Axis]:
    """Return the axes of a convolution along so many of them, any of ``axes``.

    Raises:
        ModelError: The source has no such shape, or is smaller than the kernel.
    """
    wanted = " or ".join(WANTED[number] for number in axes)
    count = len(ends.source) - 1
    if not ends.source:
        raise ModelError(
            f"its source has no shape; give that population one, {wanted}, or take another "
            "connectivity"
        )
    if count not in axes:
        raise ModelError(
            f"its source must have a shape {wanted}, but has the shape {shown(ends.source)}"
        )
    along = {"kernel": kernel, "stride": stride, "padding": padding}
    sides: dict[str, Sequence[Any]] = {}
    for option_name, value in along.items():
        sides[option_name] = value if isinstance(value, tuple) else tuple(repeat(value, count))
        if len(sides[option_name]) != count:
            raise ModelError(
                f"{option_name}={shown(value)}: a source of shape {shown(ends.source)} has "
                f"{count} {'axis' if count == 1 else 'axes'} beside that of channels"
            )
    found = [Axis.of(*each) for each in zip(ends.source[:-1], *sides.values(), strict=True)]
    if any(axis.targets < 1 for axis in found):
        with_padding = f" with padding {shown(padding)}" if padding else ""
        raise ModelError(
            f"kernel={shown(kernel)} is larger than its source of shape {shown(ends.source)}"
            f"{with_padding}; take a smaller kernel or more padding"
        )
    return found


def taps_of(axes: Sequence[Axis]) -> np.ndarray:
    """Return source, target and place in the kernel of connected places, integers [3, n].

    They are numbered along the last axis first.
    """

    def join(whole: np.ndarray, axis: Axis) -> np.ndarray:
        sizes = np.array([axis.sources, axis.targets, axis.kernel]).reshape(3, 1, 1)
        return (whole[:, :, None] * sizes + axis.taps()[:, None, :]).reshape(3, -1)

    return reduce(join, axes, np.zeros((3, 1), np.int64))


# Convolution


def conv_shape(
    ends: Ends,
    *,
    axes: int,
    kernel: Sides,
    stride: Sides,
    padding: Sides | str,
    channels: int | None,
) -> Shape:
    """Return the shape of the target."""
    places = tuple(axis.targets for axis in axes_of(ends, [axes], kernel, stride, padding))
    if channels is not None:
        return *places, channels
    if ends.target:
        return *places, ends.target[-1]
    if not ends.post:
        raise ModelError("how many channels the target has is not known; give channels: 16")
    if ends.post % size_of(places):
        raise ModelError(
            f"it makes {' x '.join(map(str, places))} places of the source's shape "
            f"{shown(ends.source)}, of which {ends.post} neurons are no multiple; leave the size "
            "out and give channels"
        )
    return *places, ends.post // size_of(places)


def convolution(
    ends: Ends,
    random: np.random.Generator,
    *,
    axes: int,
    kernel: Sides,
    stride: Sides,
    padding: Sides | str,
    channels: int | None,
) -> Synapses:
    """Return the synapses of a convolution, by rising sources and then targets."""
    along = axes_of(ends, [axes], kernel, stride, padding)
    ins, outs = ends.source[-1], ends.target[-1]
    source, target, place = taps_of(along)
    c_in, c_out = np.arange(ins), np.arange(outs)
    pre = (source[:, None] * ins + c_in).ravel()
    order = np.lexsort((np.repeat(target, ins), pre))
    tap, channel = np.divmod(order, ins)
    return Synapses(
        pre=np.repeat(pre[order], outs),
        post=(target[tap][:, None] * outs + c_out).ravel(),
        shape=(ends.pre, ends.post),
        weights=(*(axis.kernel for axis in along), ins, outs),
        place=((place[tap] * ins + channel)[:, None] * outs + c_out).ravel(),
    )


# Pooling


def pool_axes(ends: Ends, kernel: Sides, stride: Sides | None) -> list[Axis]:
    """Return the axes along which is pooled; windows lie beside each other without a stride."""
    return axes_of(ends, tuple(WANTED), kernel, kernel if stride is None else stride, 0)


def pool_shape(ends: Ends, *, kernel: Sides, stride: Sides | None, scale: float) -> Shape:
    """Return the shape of the target."""
    return *(axis.targets for axis in pool_axes(ends, kernel, stride)), ends.source[-1]


def pooling(
    ends: Ends, random: np.random.Generator, *, kernel: Sides, stride: Sides | None, scale: float
) -> Synapses:
    """Return the synapses of a pooling, by rising sources and then targets."""
    source, target, _ = taps_of(pool_axes(ends, kernel, stride))
    channels = np.arange(ends.source[-1])
    pre, post = ((x[:, None] * len(channels) + channels).ravel() for x in (source, target))
    order = np.lexsort((post, pre))
    return Synapses(
        pre=pre[order],
        post=post[order],
        shape=(ends.pre, ends.post),
        weights=(1,),
        place=np.zeros(len(order), np.int64),
    )


def _sum(ends: Ends, *, kernel: Sides, stride: Sides | None, scale: float) -> float:
    return scale


def _mean(ends: Ends, *, kernel: Sides, stride: Sides | None, scale: float) -> float:
    return scale / size_of(tuple(axis.kernel for axis in pool_axes(ends, kernel, stride)))


# Declarations


def _sides(least: int, also: str = "", axes: int | None = None) -> Kind:
    """Return the kind of a whole number, or one for each axis; or the word ``also``."""

    def convert(value: Any) -> Any:
        if also and value == also:
            return value
        sides = tuple(map(INT.convert, value if isinstance(value, list | tuple) else [value]))
        if not sides or min(sides) < least:
            raise ValueError(value)
        return sides if isinstance(value, list | tuple) else sides[0]

    text = f"a whole number >= {least}"
    text += "" if axes == 1 else f", or one for each axis as in [{least + 2}, {least + 4}]"
    return Kind(text=f"{text}, or {also}" if also else text, convert=convert)


def _conv(axes: int, meaning: str) -> Connectivity:
    shape = WANTED[axes].replace("channels", "c_in, c_out")
    return Connectivity(
        name=f"conv{axes}d",
        meaning=meaning,
        between=partial(convolution, axes=axes),
        target=partial(conv_shape, axes=axes),
        options=(
            option(
                "kernel",
                _sides(1, axes=axes),
                f"Size of the kernel; its weights are {shape}.",
                default=3,
            ),
            option(
                "stride", _sides(1, axes=axes), "Sources from a target to the next one.", default=1
            ),
            option(
                "padding",
                _sides(0, SAME, axes),
                "Places without a neuron that are added at each end; same: as many as make as many "
                "targets as sources, or with a stride their share, rounded up.",
                default=0,
            ),
            option(
                "channels",
                INT,
                "Channels of the target.",
                default=None,
                minimum=1,
                nullable=True,
                null="those of the target's shape",
            ),
        ),
    )


def _pool(name: str, meaning: str, weight: Callable[..., float]) -> Connectivity:
    return Connectivity(
        name=name,
        meaning=meaning,
        between=pooling,
        target=pool_shape,
        weight=weight,
        options=(
            option("kernel", _sides(1), "Size of the window that is pooled.", default=2),
            option(
                "stride",
                _sides(1),
                "Sources from a window to the next one.",
                default=None,
                nullable=True,
                null="kernel, so that each source is in one window",
            ),
            option("scale", FLOAT, "Factor on the weights.", default=1.0),
        ),
    )


CONV2D = _conv(2, "a convolution along rows and columns, whose weights are shared by all places")
CONV1D = _conv(1, "a convolution along one axis, whose weights are shared by all places")
SUM_POOL = _pool("sum_pool", "sums over windows of each channel, by weights of 1 x scale", _sum)
MEAN_POOL = _pool(
    "mean_pool", "means over windows of each channel, by weights of scale / their size", _mean
)
