"""The draws of a training trial in NumPy: hashes of (key, neuron, step), noise and spike dropout.

Backends must draw these numbers; whether they are normal is judged by the standard library.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from reference import Disturbance

from snnrun.compile.program import Program

MASK = 2**64 - 1
# erfinv(x) / x as a polynomial of w - 2.5 where w = -log(1 - x^2) < 5, else of sqrt(w) - 3 (Giles
# 2010, GPU Computing Gems 2, ch. 10, single precision); highest power first
INNER = (
    2.81022636e-08,
    3.43273939e-07,
    -3.5233877e-06,
    -4.39150654e-06,
    0.00021858087,
    -0.00125372503,
    -0.00417768164,
    0.246640727,
    1.50140941,
)
OUTER = (
    -0.000200214257,
    0.000100950558,
    0.00134934322,
    -0.00367342844,
    0.00573950773,
    -0.0076224613,
    0.00943887047,
    1.00167406,
    2.83297682,
)


def mix(x: int) -> int:
    """Return the finaliser of SplitMix64 (Steele, Lea & Flood 2014)."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def hashes(key: int, steps: int, size: int) -> np.ndarray:
    """Return 32 bits of each step and neuron, uint32 [T, N]."""
    step, neuron = np.arange(steps, dtype=np.uint32)[:, None], np.arange(size, dtype=np.uint32)
    low, high = np.uint32(key & 0xFFFFFFFF), np.uint32(key >> 32)
    h = ((neuron << np.uint32(16) | step) ^ low) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> np.uint32(15)) ^ high) * np.uint32(0xC2B2AE35)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(0x27D4EB2F)
    return h ^ (h >> np.uint32(16))


def normal(h: np.ndarray) -> np.ndarray:
    """Return standard normal numbers: the highest bit is the sign, the others give the tail."""
    tail = _tail(h)
    w = -np.log(4 * tail * (1 - tail))
    factor = np.where(w < 5, np.polyval(INNER, w - 2.5), np.polyval(OUTER, np.sqrt(w) - 3))
    return np.where(h >> np.uint32(31), -1, 1) * np.sqrt(2) * factor * (1 - 2 * tail)


def exact_normal(h: np.ndarray) -> np.ndarray:
    """Return what ``normal`` approximates."""
    quantile = np.vectorize(NormalDist().inv_cdf)
    return np.where(h >> np.uint32(31), 1, -1) * quantile(_tail(h))


def _tail(h: np.ndarray) -> np.ndarray:
    return ((h & np.uint32(0x7FFFFFFF)).astype(float) + 0.5) / 2**32


def layer_keys(key: int, example: int, layer: int) -> tuple[int, int]:
    """Return the keys of the noise and of spike dropout of an example in a layer."""
    base = mix(key ^ example)
    return mix((base + 2 * layer + 1) & MASK), mix((base + 2 * layer + 2) & MASK)


def disturbances(program: Program, key: int, example: int) -> list[Disturbance]:
    """Return what training does to the hidden layers of ``program`` in an example."""
    found = []
    for index, compiled in enumerate(program.populations[:-1]):
        population = compiled.population
        shape = (program.steps, population.size)
        noise_key, spike_dropout_key = layer_keys(key, example, index)
        noise = np.zeros(shape)
        if population.noise:
            noise = population.noise * program.dt**0.5 * normal(hashes(noise_key, *shape))
        spike_dropout = hashes(spike_dropout_key, *shape) < int(
            population.spike_dropout * 4294967295.0
        )
        found.append(Disturbance(noise=noise, spike_dropout=spike_dropout))
    return found
