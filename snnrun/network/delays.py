"""Delays of a projection: how much later than without them its spikes arrive.

A spike that is emitted in step n and is delayed by d steps arrives spread over steps n + k,

    h(k) = max(0, (1 + s - |k - (1 + d)|) / (1 + s)^2)        k = 1, 2, ...

each with h(k) times the weight. With width s = 0 these are two steps, (1 - g) in step n + 1 + m and
g in the next one, for d = m + g with m whole: the interpolation between two steps, of which the
derivative by d is exact. With s > 0 it is a triangle over more steps, which learning narrows.
Spikes of the input arrive a step earlier, in their own step without a delay.

Source: interpolation, Meszaros, Knight & Nowotny 2025, Nat Commun (10.1038/s41467-025-65394-8) for
the gradient by event times; triangle, DelRec, arXiv 2509.24852, eqs 7-13.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from snnrun.errors import ConfigError, ModelError
from snnrun.schema.delays import DelayChoice
from snnrun.streams import drawn

ROUNDING = 1e-6  # relative: more than float32 makes of a delay in steps


class DelayKind(Enum):
    """Which synapses of a projection share a delay."""

    AXONAL = "axonal"  # those of a presynaptic neuron
    DENDRITIC = "dendritic"  # those of a postsynaptic neuron
    SYNAPTIC = "synaptic"  # none

    def shape(self, pre: int, post: int) -> tuple[int, int]:
        """Return the shape of the delays of a projection, which fit beside weights [P, Q]."""
        kind = DelayKind
        return {kind.AXONAL: (pre, 1), kind.DENDRITIC: (1, post), kind.SYNAPTIC: (pre, post)}[self]


@dataclass(frozen=True, kw_only=True, eq=False)
class Delays:
    """The delays of a projection.

    Args:
        kind: Which synapses share one.
        start: With which they begin (ms), [P, 1], [1, Q] or [P, Q].
        most: The largest they can become (ms).
        trained: Whether they learn.
    """

    kind: DelayKind
    start: np.ndarray
    most: float
    trained: bool = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.start).all() and self.start.min() >= 0):
            raise ModelError(f"delays must be numbers from 0 to {self.most:g} ms")
        if self.start.max() > self.most:
            raise ModelError(
                f"a delay of {self.start.max():g} ms is above the largest one, {self.most:g} ms"
            )

    def steps(self, dt: float) -> int:
        """Return the whole steps that the largest delay needs."""
        return int(np.ceil(self.most / dt - 1e-9))


def make_delays(
    choice: DelayChoice,
    sizes: tuple[int, int],
    random: np.random.Generator,
    where: str,
    trial_ms: float,
) -> Delays:
    """Return the delays that are asked for.

    Args:
        choice: What is asked for.
        sizes: Numbers of presynaptic and postsynaptic neurons.
        random: Draws them, where they are drawn; they are clipped to what is allowed.
        where: The place in the configuration.
        trial_ms: Length of a trial, which every delay must be shorter than (ms).

    Raises:
        ConfigError: Numbers of another shape, or too large, or a file without such numbers.
    """
    kind = DelayKind(choice.kind)
    shape = kind.shape(*sizes)
    if isinstance(choice.start, Mapping):
        start = drawn(choice.start, random, shape)
        start = np.clip(start, 0.0, np.inf if choice.most is None else choice.most)
    elif isinstance(choice.start, float):
        start = np.full(shape, choice.start)
    else:
        start = _given(choice, shape, f"{where}.start")
    longest = float(start.max())
    most = longest if choice.most is None else choice.most
    if longest > most or longest >= trial_ms:
        limit = f"max={most:g} ms" if longest > most else f"TRIAL_MS={trial_ms:g}"
        raise ConfigError(
            f"{where}.start: the longest delay is {longest:g} ms; it must be "
            f"{'at most' if longest > most else 'shorter than'} {limit}"
        )
    return Delays(kind=kind, start=start, most=most, trained=choice.trained)


def _given(choice: DelayChoice, shape: tuple[int, int], where: str) -> np.ndarray:
    """Return the numbers of a list or a file in the shape of the kind."""
    named = ""
    if isinstance(choice.start, str):
        named = f"={choice.start}"
        array = read_numbers(Path(choice.start).expanduser(), f"{where}{named}")
    else:
        array = np.array(choice.start, float)
    flat = (max(shape),) if choice.kind != DelayKind.SYNAPTIC.value else shape
    if array.shape not in (flat, shape):
        raise ConfigError(
            f"{where}{named}: has {_words(array.shape)}, and {choice.kind} delays of this "
            f"projection are {_words(flat)}"
        )
    if not (np.isfinite(array).all() and array.min() >= 0):
        raise ConfigError(f"{where}{named}: delays must be numbers >= 0 (ms)")
    return array.reshape(shape)


def _words(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} numbers" if len(shape) == 1 else f"{' x '.join(map(str, shape))} numbers"


def read_numbers(path: Path, where: str) -> np.ndarray:
    """Return the array of numbers of a .npy file; ``where`` is the place in the configuration."""
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{where}: there is no such file; paths begin in the folder you start in"
        ) from error
    except (OSError, ValueError, EOFError) as error:
        raise ConfigError(f"{where}: is no NumPy file of numbers, as numpy.save writes") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf" or array.ndim == 0:
        raise ConfigError(f"{where}: holds no array of numbers, as numpy.save writes")
    return array.astype(float)


def in_steps(delays: np.ndarray, dt: float) -> np.ndarray:
    """Return delays (ms) in steps of ``dt`` ms.

    What is a whole number of steps but for rounding is that number: 2.1 ms are 7 steps of 0.3 ms
    in any precision, as which steps a spike meets depends on the side.
    """
    steps = np.asarray(delays, float) / dt
    whole = np.rint(steps)
    return np.where(np.abs(steps - whole) <= ROUNDING * whole, whole, steps)


def triangle(distance: np.ndarray, width: float) -> np.ndarray:
    """Return the share of a spike that arrives so many steps from where its delay leads."""
    return np.maximum(0.0, (1.0 + width - np.abs(distance)) / (1.0 + width) ** 2)


def spread(delays: np.ndarray, width: float, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return h(k) and its derivative by the delay, for k = 1, ..., most + 2 + floor(width).

    Args:
        delays: In steps, of any shape.
        width: s, in steps.
        most: The largest delay in whole steps.

    Returns:
        Two arrays [k, *shape]. On the kink, where the delay is a whole number and s = 0, the
        derivative is that from above: of the step behind against the step itself.
    """
    after = np.arange(most + 2 + int(width)).reshape(-1, *[1] * delays.ndim)  # k - 1
    # Of whole numbers and fractions: 1 + d and d + s may be rounded to the next whole number.
    whole, wide = np.floor(delays), int(width)
    part, rest = delays - whole, width - wide
    distance = (after - whole) - part
    inside = (after >= whole - wide - (part < rest)) & (
        after <= whole + wide + 1 + (part + rest >= 1)
    )
    slope = np.where(distance > 0, 1.0, -1.0) / (1.0 + width) ** 2
    return triangle(distance, width), np.where(inside, slope, 0.0)
