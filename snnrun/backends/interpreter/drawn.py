"""What is drawn in the training of the network: noise, spike dropout, dropout of currents."""

from __future__ import annotations

import numpy as np

from snnrun.backends.base import Noise
from snnrun.backends.draws import current_keys, draw_keys, dropout_limit, hashes, normal
from snnrun.backends.interpreter.functions import Array
from snnrun.backends.interpreter.links import Link
from snnrun.backends.interpreter.neurons import Neurons


def draws(
    neurons: Neurons, layer: int, examples: Array, n: int, noise: Noise
) -> tuple[Array, Array] | None:
    """Return what is added to the state that meets the threshold, and who may not spike, [B, N]."""
    compiled = neurons.compiled
    dropout = compiled.population.spike_dropout
    if not noise.in_network or not (compiled.noise or dropout):
        return None
    keys = {k: v[:, None] for k, v in draw_keys(noise.key, examples, layer).items()}
    ids, step = np.arange(neurons.size), np.array(n)
    added = normal(hashes(ids, step, keys["noise_low"], keys["noise_high"])) * compiled.noise
    drawn = hashes(ids, step, keys["spike_dropout_low"], keys["spike_dropout_high"])
    return added, drawn < dropout_limit(dropout)


def kept_currents(
    link: Link, number: int, examples: Array, noise: Noise, steps: int
) -> Array | None:
    """Return by what dropout multiplies the currents of a projection, [T, B, Q]; None: by 1.

    ``number``: of the projection, among all of the network.
    """
    dropout = link.projection.dropout
    if not noise.in_network or not dropout:
        return None
    low, high = current_keys(noise.key, examples, number)
    ids, time = np.arange(link.size), np.arange(steps)[:, None, None]
    drawn = hashes(ids, time, low[:, None], high[:, None])
    return np.where(drawn < dropout_limit(dropout), 0.0, 1 / (1 - dropout))
