"""Named random streams: the same seed, name and key give the same numbers, whatever ran before.

A stream never depends on the order in which streams are asked for, so a run that was resumed, or
one that uses more threads, draws the same numbers as one that was never stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zlib import crc32

import numpy as np


def stream(seed: int, name: str, *key: int) -> np.random.Generator:
    """Return the generator of the stream ``name`` under ``seed`` for one ``key``, as an epoch."""
    return np.random.Generator(np.random.PCG64(_sequence(seed, name, *key)))


def stream_key(seed: int, name: str, *key: int) -> int:
    """Return a 64-bit key of the stream, for generators that live in compiled code."""
    return int(_sequence(seed, name, *key).generate_state(1, np.uint64)[0])


def drawn(
    distribution: Mapping[str, Any], random: np.random.Generator, shape: tuple[int, ...]
) -> np.ndarray:
    """Return numbers of a distribution, as in {"uniform": (5.0, 25.0)}; see keys/kinds.py."""
    ((name, numbers),) = distribution.items()
    if name == "half_normal":
        return np.abs(random.normal(0.0, numbers, shape))
    first, second = numbers
    return (random.uniform if name == "uniform" else random.normal)(first, second, shape)


def _sequence(seed: int, name: str, *key: int) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, crc32(name.encode()), *key])
