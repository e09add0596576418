"""The synapses of a projection as a connectivity lists them, checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from snnrun.connectivity import Connectivity, Ends, Shape, size_of
from snnrun.errors import ModelError
from snnrun.keys.kinds import shown


@dataclass(frozen=True, kw_only=True, eq=False)
class Synapses:
    """The synapses of a projection.

    Args:
        pre, post: Presynaptic and postsynaptic neuron of each, integers [S]; a pair at most once.
        shape: Numbers of presynaptic and postsynaptic neurons.
        weights: Shape of the array of weights; left out: a matrix [P, Q] that is 0 elsewhere.
        place: Where in that array, which is flat then, the weight of each stands, integers [S].

    Raises:
        ModelError: A neuron or weight that there is not, ends that do not fit together, or a pair
            twice.
    """

    pre: np.ndarray
    post: np.ndarray
    shape: tuple[int, int]
    weights: tuple[int, ...] = ()
    place: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        sides = zip((self.pre, self.post), self.shape, ("presynaptic", "postsynaptic"), strict=True)
        for end, size, name in sides:
            _require_numbers(end, size, f"{name} neurons")
        if len(self.pre) != len(self.post):
            raise ModelError(
                f"{len(self.pre)} presynaptic ends of synapses, but {len(self.post)} others"
            )
        pairs = self.pre.astype(np.int64) * self.shape[1] + self.post
        if twice := int((np.diff(np.sort(pairs)) == 0).sum()):  # unique() is far slower
            raise ModelError(f"{twice} pairs of neurons are connected twice")
        place = self.place if self.weights else pairs
        object.__setattr__(self, "weights", self.weights or self.shape)
        _require_numbers(place, int(np.prod(self.weights)), "weights of synapses")
        if len(place) != len(self.pre):
            raise ModelError(f"{len(place)} weights for {len(self.pre)} synapses")
        for name, found, dtype in (
            ("pre", self.pre, np.int32),
            ("post", self.post, np.int32),
            ("place", place, np.int64),
        ):
            object.__setattr__(self, name, np.ascontiguousarray(found, dtype))

    @property
    def shared(self) -> bool:
        """Whether the array of weights is not the matrix of the synapses."""
        return self.weights != self.shape

    @property
    def count(self) -> int:
        """Number of weights that synapses have."""
        return int(np.prod(self.weights)) if self.shared else len(self.pre)

    @cached_property
    def mask(self) -> np.ndarray:
        """Which pairs of neurons have a synapse, bool [P, Q]."""
        mask = np.zeros(self.shape, bool)
        mask[self.pre, self.post] = True
        return mask

    def matrix(self, weights: np.ndarray) -> np.ndarray:
        """Return the weights as a matrix [P, Q]."""
        full = np.zeros(self.shape, weights.dtype)
        full[self.pre, self.post] = weights.reshape(-1)[self.place]
        return full

    def gathered(self, matrix: np.ndarray) -> np.ndarray:
        """Return what a matrix [P, Q] of gradients gives for the weights."""
        size = int(np.prod(self.weights))
        found = np.bincount(self.place, matrix[self.pre, self.post], size)
        return found.reshape(self.weights)


def _require_numbers(numbers: np.ndarray, size: int, what: str) -> None:
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        raise ModelError(f"{what} must be integers [synapses], not {numbers!r}")
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < size:
        raise ModelError(
            f"{what} {numbers.min()} to {numbers.max()}, but there are those from 0 to {size - 1}"
        )


def shape_of_target(kind: Connectivity, ends: Ends, where: str) -> Shape:
    """Return the shape that a connectivity gives its target; () where it gives none.

    Raises:
        ModelError: The source does not fit the connectivity, or the target has another shape or
            size; ``where`` names the projection.
    """
    if kind.target is None:
        return ()
    with _named(kind, ends, where):
        shape = tuple(kind.target(ends, **kind.values))
        wrong = ends.target and ends.target != shape
        if wrong or (ends.post and ends.post != size_of(shape)):
            has = f"has the shape {shown(ends.target)}" if wrong else f"has {ends.post} neurons"
            raise ModelError(
                f"makes the shape {shown(shape)} ({size_of(shape)} neurons) of the source's shape "
                f"{shown(ends.source)}, but the target {has}; give the target this shape, or leave "
                "its size and shape out"
            )
    return shape


def connect(
    kind: Connectivity, ends: Ends, random: np.random.Generator, where: str
) -> Synapses | None:
    """Return the synapses of a projection between these ends, or None where all are connected.

    Raises:
        ModelError: The function that lists them gives something else, or the ends do not fit;
            ``where`` names the projection.
    """
    if kind.dense:
        return None
    ends = replace(ends, target=shape_of_target(kind, ends, where) or ends.target)
    with _named(kind, ends, where):
        if kind.between is not None:
            found = kind.between(ends, random, **kind.values)
        else:
            assert kind.synapses is not None
            found = kind.synapses(ends.pre, ends.post, random, **kind.values)
        if not isinstance(found, Synapses):
            pre, post = (np.asarray(end) for end in found)
            found = Synapses(pre=pre, post=post, shape=(ends.pre, ends.post))
        if not len(found.pre):
            raise ModelError("there are no synapses; connect more, or leave the projection out")
        return found


def weight_of_all(kind: Connectivity, ends: Ends, where: str) -> float | None:
    """Return the weight that all synapses have, which learning leaves, or None."""
    if kind.weight is None:
        return None
    with _named(kind, ends, where):
        return float(kind.weight(ends, **kind.values))


@contextmanager
def _named(kind: Connectivity, ends: Ends, where: str) -> Iterator[None]:
    """Put the projection and its connectivity before what is wrong in a function of these."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{where}: connectivity {kind.name}: {error}") from error
    except Exception as error:
        sizes = f"{ends.pre} and {ends.post or 'any number of'} neurons"
        raise ModelError(
            f"{where}: connectivity {kind.name} failed for {sizes}: {type(error).__name__}: {error}"
        ) from error
