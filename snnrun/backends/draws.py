"""The random numbers of training: hashes of (key, example, layer, neuron, step).

All backends draw these, whatever runs in which order, so that same seeds give the same draws.
"""

from __future__ import annotations

import numpy as np

from snnrun.datasets.spikes import SpikeData

# erfinv(x) / x as a polynomial of w - 2.5 where w = -log(1 - x^2) < 5, else of sqrt(w) - 3, the
# highest power first (Giles 2010, GPU Computing Gems 2, ch. 10, single precision)
INNER = (
    *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087),
    *(-0.00125372503, -0.00417768164, 0.246640727, 1.50140941),
)
OUTER = (
    *(-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773),
    *(-0.0076224613, 0.00943887047, 1.00167406, 2.83297682),
)
LOW, MULTIPLIERS = 0xFFFFFFFF, (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def dropout_limit(probability: float) -> int:
    """Return the hash below which an event is dropped."""
    return int(probability * 4294967295.0)


def dropout_keys(key: int, examples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the two 32-bit halves of each example's key, the native backend's mix of 64 bits."""
    return halves(_example_keys(key, examples))


def draw_keys(key: int, examples: np.ndarray, layer: int) -> dict[str, np.ndarray]:
    """Return the halves of each example's keys of the draws in a layer, as in the native backend:
    noise_low, noise_high, spike_dropout_low, spike_dropout_high.
    """
    found = {}
    for number, name in enumerate(("noise", "spike_dropout"), 1):
        with np.errstate(over="ignore"):
            keys = mix(_example_keys(key, examples) + np.uint64(2 * layer + number))
        found[f"{name}_low"], found[f"{name}_high"] = halves(keys)
    return found


def current_keys(key: int, examples: np.ndarray, projection: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the halves of each example's keys of the dropout of a projection's currents.

    ``projection``: its number among all of the network.
    """
    with np.errstate(over="ignore"):
        return halves(mix(_example_keys(key, examples) + np.uint64((1 << 32) + projection)))


def _example_keys(key: int, examples: np.ndarray) -> np.ndarray:
    return mix(np.uint64(key) ^ examples.astype(np.int64).view(np.uint64))


def mix(x: np.ndarray) -> np.ndarray:
    """Return the native backend's mix of 64 bits."""
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(MULTIPLIERS[0])
        x = (x ^ (x >> np.uint64(27))) * np.uint64(MULTIPLIERS[1])
        return x ^ (x >> np.uint64(31))


def halves(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and the higher 32 bits."""
    return (x & np.uint64(LOW)).astype(np.uint32), (x >> np.uint64(32)).astype(np.uint32)


def kept_events(
    data: SpikeData, example: int, dropout: float, key: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return steps and channels of an example's events that dropout leaves, by step."""
    start, end = int(data.offsets[example]), int(data.offsets[example + 1])
    counts = np.diff(data.step_pointers[example])
    steps = np.repeat(np.arange(data.n_steps, dtype=np.int32), counts)
    channels = data.channel_by_step[start:end].astype(np.int32)
    if dropout <= 0:
        return steps, channels
    low, high = dropout_keys(key, np.array([example]))
    keep = hashes(channels, steps, low, high) >= dropout_limit(dropout)
    return steps[keep], channels[keep]


def hashes(neurons: np.ndarray, step: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return 32 bits of each neuron, or channel, and step; ``low`` and ``high`` are its key."""
    with np.errstate(over="ignore"):
        h = (neurons.astype(np.uint32) * np.uint32(65536) + step.astype(np.uint32)) ^ low
        h = h * np.uint32(2246822507)
        h = (h ^ (h >> np.uint32(15)) ^ high) * np.uint32(3266489909)
        h = (h ^ (h >> np.uint32(13))) * np.uint32(668265263)
        return h ^ (h >> np.uint32(16))


def normal(h: np.ndarray) -> np.ndarray:
    """Return standard normal numbers of hashes, as in the native backend (runtime/draws.hpp)."""
    tail = ((h & np.uint32(0x7FFFFFFF)).astype(float) + 0.5) / 2**32
    w = -np.log(4 * tail * (1 - tail))
    factor = np.where(w < 5, np.polyval(INNER, w - 2.5), np.polyval(OUTER, np.sqrt(w) - 3))
    return np.where(h >> np.uint32(31), -1, 1) * np.sqrt(2) * factor * (1 - 2 * tail)
