"""The synapses of a projection as a connectivity lists them, checked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from snnrun.connectivity import Connectivity
from snnrun.errors import ModelError


@dataclass(frozen=True, kw_only=True, eq=False)
class Synapses:
    """The synapses of a projection: presynaptic and postsynaptic neuron of each, int32 [S].

    Raises:
        ModelError: A neuron that there is not, ends that do not fit together, or a pair twice.
    """

    pre: np.ndarray
    post: np.ndarray
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        for end, size, name in zip(
            (self.pre, self.post), self.shape, ("presynaptic", "postsynaptic"), strict=True
        ):
            if end.ndim != 1 or end.dtype.kind not in "iu":
                raise ModelError(f"{name} neurons must be integers [synapses], not {end!r}")
            if len(end) and not 0 <= end.min() <= end.max() < size:
                raise ModelError(
                    f"{name} neurons {end.min()} to {end.max()}, but there are those from 0 to "
                    f"{size - 1}"
                )
        if len(self.pre) != len(self.post):
            raise ModelError(
                f"{len(self.pre)} presynaptic ends of synapses, but {len(self.post)} others"
            )
        if twice := len(self.pre) - self.mask.sum():
            raise ModelError(f"{twice} pairs of neurons are connected twice")
        for name in ("pre", "post"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), np.int32))

    @cached_property
    def mask(self) -> np.ndarray:
        """Which pairs of neurons have a synapse, bool [P, Q]."""
        mask = np.zeros(self.shape, bool)
        mask[self.pre, self.post] = True
        return mask


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
