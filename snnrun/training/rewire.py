"""Care of silent neurons (REWIRE_SILENT, REWIRE_LIFT).

A neuron without spikes has no gradient, as EventProp's sums run over spikes, so learning alone
never brings it back. Hidden neurons that were silent in all training of an epoch get new
feed-forward weights before the next one:

    redraw    w_iq ~ N(mean, std) of the layer's own projection, and the optimiser's states <- 0
    lift      w_iq <- w_iq + REWIRE_LIFT; the states stay, since the weights are the same, moved

That is done where the next epoch begins, not where the last one ends, so that all accuracies, the
best checkpoint and the trained network are of weights that were learned. Recurrent weights and time
constants stay: they are drawn for a network that is active, and act as soon as the neuron is.
"""

from __future__ import annotations

import numpy as np

from snnrun.backends.base import Backend
from snnrun.config import Config
from snnrun.streams import stream
from snnrun.training.activity import by_population


def rewire(config: Config, backend: Backend, neuron_spikes: np.ndarray, epoch: int) -> np.ndarray:
    """Rewire the neurons without spikes; return how many of each layer, int64 [layers].

    Args:
        config: ``REWIRE_LIFT`` says what is done, ``MODEL_SEED`` seeds the draws.
        backend: Its weights, and what the optimiser keeps of them, change.
        neuron_spikes: Spikes of all neurons in the training of the epoch before, layer after layer.
        epoch: The epoch that begins; together with the projection it chooses the random stream.
    """
    program = backend.program
    rewired = np.zeros(len(program.populations), np.int64)
    for layer, compiled, counts in by_population(program, neuron_spikes):
        silent = counts == 0
        if compiled is program.populations[-1] or not silent.any():
            continue
        rewired[layer] = silent.sum()
        projection = program.network.layers[layer].forward
        weights = backend.get(projection.name)
        synapses = projection.synapses
        if config.REWIRE_LIFT != 0:
            lifted = np.clip(weights[:, silent] + config.REWIRE_LIFT, *projection.bounds)
            there = True if synapses is None else synapses.mask[:, silent]
            weights[:, silent] = np.where(there, lifted, 0.0)
            backend.set(projection.name, weights)
            continue
        draw = stream(config.MODEL_SEED, f"rewire {projection.name}", epoch)
        if synapses is None:
            weights[:, silent] = projection.draw(draw, (len(weights), int(silent.sum())))
        else:
            weights[:, silent] = projection.draw(draw, synapses.shape)[:, silent]
        backend.set(projection.name, weights)
        (tensor,) = (t for t in program.tensors if t.name == projection.name)
        for which in tensor.states:
            state = backend.get(projection.name, which)
            state[:, silent] = 0
            backend.set(projection.name, state, which)
    return rewired
