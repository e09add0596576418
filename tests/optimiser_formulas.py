"""Optimisers as their publications have them, in plain NumPy: values after each gradient."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def adam(
    w: Array, gradients: list[Array], *, decay: float = 0.0, rate: float = 0.05
) -> list[Array]:
    m, v, found = np.zeros_like(w), np.zeros_like(w), []
    for k, g in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        w = w - rate * decay * w
        w = w - rate * (m / (1 - 0.9**k)) / (np.sqrt(v / (1 - 0.999**k)) + 1e-8)
        found.append(w)
    return found


def sgd(
    w: Array,
    gradients: list[Array],
    *,
    momentum: float = 0.0,
    nesterov: bool = False,
    l2: float = 0.0,
    rate: float = 0.05,
) -> list[Array]:
    velocity, found = np.zeros_like(w), []
    for g in gradients:
        g = g + l2 * w
        velocity = momentum * velocity + g
        w = w - rate * (g + momentum * velocity if nesterov else velocity)
        found.append(w)
    return found


def rmsprop(
    w: Array,
    gradients: list[Array],
    *,
    alpha: float = 0.99,
    centred: bool = False,
    momentum: float = 0.0,
    rate: float = 0.05,
) -> list[Array]:
    square, mean, velocity, found = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w), []
    for g in gradients:
        square = alpha * square + (1 - alpha) * g**2
        mean = alpha * mean + (1 - alpha) * g
        root = np.sqrt(square - mean**2 if centred else square) + 1e-8
        velocity = momentum * velocity + g / root
        w = w - rate * velocity
        found.append(w)
    return found


def lion(
    w: Array, gradients: list[Array], *, decay: float = 0.0, rate: float = 0.05
) -> list[Array]:
    """Algorithm 2 of Chen et al. 2023."""
    m, found = np.zeros_like(w), []
    for g in gradients:
        c = 0.9 * m + (1 - 0.9) * g
        w = w - rate * (np.sign(c) + decay * w)
        m = 0.99 * m + (1 - 0.99) * g
        found.append(w)
    return found


def clipped(gradients: list[Array], *, norm: float = np.inf, value: float = np.inf) -> list[Array]:
    scales = [min(1.0, norm / (np.linalg.norm(g) + 1e-6)) for g in gradients]
    return [np.clip(s * g, -value, value) for s, g in zip(scales, gradients, strict=True)]
