"""An epoch of the size of the Spiking Speech Commands: time and memory."""

from __future__ import annotations

from benchmark.programs import chain, random_events
from snnrun.datasets.spikes import SpikeData
from snnrun.network.network import Network

EXAMPLES, EVENTS = 75466, 8000
INPUTS, HIDDEN, CLASSES = 140, (256, 256, 256), 35  # five neighbouring channels of 700 are one
STEPS, DT = 250, 4.0
FIRST, BETWEEN = (0.022, 0.1), (0.06, 0.2)  # mean and std of weights: about 10 spikes a neuron


def network(*, recurrent: bool) -> Network:
    """Return 140 inputs, three hidden layers of 256 neurons and 35 classes."""
    return chain(INPUTS, HIDDEN, CLASSES, recurrent, FIRST, BETWEEN)


def inputs(examples: int) -> SpikeData:
    """Return random spikes."""
    return random_events(examples, EVENTS, INPUTS, STEPS, CLASSES)
