"""Linear maps between populations: what stands between two neurons of a file, as one projection.

A map is a list of entries: source, target, factor, and the weight that it is multiplied with, by
its place in an array of weights; -1 where there is none. Maps behind each other are joined to one.
Neurons have the numbers of this project: those of an array [channels, rows, columns] of a file
stand in the order [rows, columns, channels].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from snnrun.connectivity import Shape
from snnrun.connectivity.convolution import Axis, taps_of
from snnrun.connectivity.synapses import Synapses
from snnrun.errors import ModelError

FIXED = -1  # place of an entry that no weight belongs to


@dataclass(frozen=True, kw_only=True, eq=False)
class Map:
    """A linear map from P sources to Q targets, and what it adds.

    Args:
        shape: P and Q.
        pre, post: Source and target of each entry, integers [S].
        factor: Of each entry, float64 [S].
        place: Where in ``weights``, which are flat then, its weight stands; FIXED: nowhere.
        weights: The weights, of any shape; size 0 where there are none.
        bias: What is added to each target, float64 [Q].
        learned: It is a product of weights, so that it may be learned without having some.
        rows: Of a matrix of weights alone, [P, Q]: the row of each source, integers [P].
        permutes: It gives the sources another order, and does nothing else.
    """

    shape: tuple[int, int]
    pre: np.ndarray
    post: np.ndarray
    factor: np.ndarray
    place: np.ndarray
    bias: np.ndarray
    weights: np.ndarray = field(default_factory=lambda: np.empty(0))
    learned: bool = False
    rows: np.ndarray | None = None
    permutes: bool = False

    @property
    def weighted(self) -> bool:
        """Whether there are weights, which may be learned."""
        return bool(self.weights.size)

    def then(self, other: Map) -> Map:
        """Return the map that does first this one and then another."""
        if self.permutes and other.rows is not None:  # a large matrix is not taken apart
            rows = other.rows[self.post[np.argsort(self.pre)]]
            place = (rows[:, None] * other.shape[1] + np.arange(other.shape[1])).ravel()
            return replace(other, rows=rows, place=place)
        first, second = _joined(self.post, other.pre)
        both = self.weighted and other.weighted
        owner = other if other.weighted else self
        joined = Map(
            shape=(self.shape[0], other.shape[1]),
            pre=self.pre[first],
            post=other.post[second],
            factor=self.factor[first] * other.factor[second],
            place=(other.place[second] if other.weighted else self.place[first]),
            weights=owner.weights,
            bias=(other.applied(self.bias) if self.bias.any() else 0.0) + other.bias,
            learned=self.learned or other.learned,
        )
        if both:
            values = self.values()[first] * other.values()[second]
            return replace(joined, factor=values, weights=np.empty(0), learned=True)
        return joined

    def values(self) -> np.ndarray:
        """Return what each entry multiplies with."""
        if not self.weighted:
            return self.factor
        return self.factor * self.weights.reshape(-1)[self.place]

    def applied(self, x: np.ndarray) -> np.ndarray:
        """Return what it makes of values of the sources [P], without the bias."""
        if self.rows is not None:
            return x @ self.weights[self.rows]
        return np.bincount(self.post, self.values() * x[self.pre], self.shape[1])

    def settled(self) -> Settled:
        """Return it as the synapses of a projection and their weights.

        Weights that entries share stay shared where these have the same factor and meet each pair
        of neurons once; otherwise each pair gets a weight of its own.
        """
        if self.rows is not None:
            return Settled(synapses=None, weights=self.weights[self.rows])
        pair = self.pre * self.shape[1] + self.post
        order = np.argsort(pair, kind="stable")
        twice = bool((np.diff(pair[order]) == 0).any())
        shares = self.weighted and not twice and len(np.unique(self.place)) < len(self.place)
        if shares:
            factors = np.ones(self.weights.size)
            factors[self.place] = self.factor
            if (factors[self.place] == self.factor).all():
                scales: np.ndarray = factors.reshape(self.weights.shape)
                synapses = Synapses(
                    pre=self.pre[order],
                    post=self.post[order],
                    shape=self.shape,
                    weights=self.weights.shape,
                    place=self.place[order],
                )
                return Settled(synapses=synapses, weights=self.weights * scales, factors=scales)
        pairs = np.unique(pair)
        sums = np.bincount(pair, self.values(), prod(self.shape))
        matrix: np.ndarray = sums.reshape(self.shape)
        if len(pairs) == matrix.size:
            return Settled(synapses=None, weights=matrix)
        pre, post = np.divmod(pairs, self.shape[1])
        return Settled(synapses=Synapses(pre=pre, post=post, shape=self.shape), weights=matrix)


@dataclass(frozen=True, kw_only=True, eq=False)
class Settled:
    """The synapses of a projection, None where all neurons are connected, and their weights.

    ``factors``: what weights that synapses share were multiplied with; of size 0 otherwise.
    """

    synapses: Synapses | None
    weights: np.ndarray
    factors: np.ndarray = field(default_factory=lambda: np.empty(0))


def _joined(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all pairs of entries with left[i] == right[j], by rising i."""
    order = np.argsort(right, kind="stable")
    first = np.searchsorted(right[order], left, "left")
    count = np.searchsorted(right[order], left, "right") - first
    i = np.repeat(np.arange(len(left)), count)
    within = np.arange(len(i)) - np.repeat(np.cumsum(count) - count, count)
    return i, order[np.repeat(first, count) + within]


def one_to_one(factor: np.ndarray) -> Map:
    """Return the map that multiplies each of the values by a factor."""
    n = np.arange(factor.size)
    return Map(
        shape=(n.size, n.size),
        pre=n,
        post=n,
        factor=np.asarray(factor, float).reshape(-1),
        place=np.full(n.size, FIXED),
        bias=np.zeros(n.size),
    )


def dense(weights: np.ndarray, bias: np.ndarray, sparse: bool = False) -> Map:
    """Return the map of a matrix [P, Q]; of a sparse one without the entries that are 0."""
    P, Q = weights.shape
    place = np.flatnonzero(weights) if sparse else np.arange(P * Q)
    pre, post = np.divmod(place, Q)
    return Map(
        shape=(P, Q),
        pre=pre,
        post=post,
        factor=np.ones(len(place)),
        place=place,
        weights=np.asarray(weights, float),
        bias=np.asarray(bias, float),
        rows=None if sparse else np.arange(P),
    )


def _axes(
    shape: Shape,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int] | str,
    dilation: Sequence[int],
) -> list[Axis]:
    """Return the axes of a convolution; a kernel with gaps is one of its whole reach."""
    found = []
    for at, (sources, k) in enumerate(zip(shape[:-1], kernel, strict=True)):
        reach = dilation[at] * (k - 1) + 1
        if padding == "same":  # as PyTorch: the larger half at the end
            axis = Axis(
                sources=sources,
                kernel=reach,
                stride=stride[at],
                before=(reach - 1) // 2,
                targets=sources,
            )
        else:
            before = 0 if isinstance(padding, str) else padding[at]
            axis = Axis.of(sources, reach, stride[at], before)
        if axis.targets < 1:
            raise ModelError(f"a kernel of {k} is larger than its input {list(shape)}")
        found.append(axis)
    return found


def places_of(axes: Sequence[Axis]) -> Shape:
    """Return the places of the targets along each axis."""
    return tuple(axis.targets for axis in axes)


def convolution(
    shape: Shape,
    weights: np.ndarray,
    bias: np.ndarray,
    *,
    stride: Sequence[int],
    padding: Sequence[int] | str,
    dilation: Sequence[int],
    groups: int,
) -> tuple[Map, Shape]:
    """Return the map of a convolution of a source [..., channels], and the shape of its target.

    ``weights``: [..., c_in / groups, c_out]; ``bias``: [c_out].
    """
    kernel, (ins, outs) = weights.shape[:-2], weights.shape[-2:]
    channels = shape[-1]
    axes = _axes(shape, kernel, stride, padding, dilation)
    source, target, tap = taps_of(axes)
    index = np.array(np.unravel_index(tap, [axis.kernel for axis in axes]))  # [axes, n]
    steps = np.array(dilation).reshape(-1, 1)
    there = (index % steps == 0).all(axis=0)
    source, target = source[there], target[there]
    tap = np.ravel_multi_index(tuple((index // steps)[:, there]), kernel)
    group, c_in = np.divmod(np.arange(channels), ins)
    per = outs // groups
    c_out = group[:, None] * per + np.arange(per)  # [channels, per]
    pre = (source[:, None] * channels + np.arange(channels))[:, :, None]
    post = target[:, None, None] * outs + c_out
    place = (tap[:, None] * ins + c_in)[:, :, None] * outs + c_out
    full = np.broadcast_shapes(pre.shape, post.shape)
    pre, post, place = (np.broadcast_to(x, full).ravel() for x in (pre, post, place))
    places = places_of(axes)
    found = Map(
        shape=(prod(shape), prod(places) * outs),
        pre=pre,
        post=post,
        factor=np.ones(pre.size),
        place=place,
        weights=np.asarray(weights, float),
        bias=np.tile(np.asarray(bias, float), prod(places)),
    )
    return found, (*places, outs)


def pooling(
    shape: Shape,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    factor: float,
) -> tuple[Map, Shape]:
    """Return the map of sums over windows of each channel times a factor, and the new shape."""
    axes = _axes(shape, kernel, stride, padding, [1] * len(kernel))
    source, target, _ = taps_of(axes)
    channels = np.arange(shape[-1])
    pre, post = ((x[:, None] * shape[-1] + channels).ravel() for x in (source, target))
    places = places_of(axes)
    found = Map(
        shape=(prod(shape), prod(places) * shape[-1]),
        pre=pre,
        post=post,
        factor=np.full(pre.size, factor),
        place=np.full(pre.size, FIXED),
        bias=np.zeros(prod(places) * shape[-1]),
    )
    return found, (*places, shape[-1])
