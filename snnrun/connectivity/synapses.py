"""The synapses of a projection as a connectivity lists them, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from snnrun.connectivity import Connectivity
from snnrun.errors import ModelError


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
        if twice := len(pairs) - len(np.unique(pairs)):
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


def connect(
    kind: Connectivity, shape: tuple[int, int], random: np.random.Generator, where: str
) -> Synapses | None:
    """Return the synapses of a projection with this shape, or None where all are connected.

    Raises:
        ModelError: The function that lists them gives something else; ``where`` names the
            projection.
    """
    if kind.synapses is None:
        return None
    try:
        pre, post = kind.synapses(*shape, random)
        return Synapses(pre=np.asarray(pre), post=np.asarray(post), shape=shape)
    except ModelError as error:
        raise ModelError(f"{where}: connectivity {kind.name}: {error}") from error
    except Exception as error:
        raise ModelError(
            f"{where}: connectivity {kind.name} failed for {shape[0]} and {shape[1]} neurons: "
            f"{type(error).__name__}: {error}"
        ) from error
