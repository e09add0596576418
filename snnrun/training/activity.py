"""How active the neurons of each population were: figures from spike counts [neurons]."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snnrun.compile.population import CompiledPopulation
from snnrun.compile.program import Program

Figures = dict[str, float | int]


def by_population(
    program: Program, neuron_spikes: np.ndarray
) -> Iterator[tuple[int, CompiledPopulation, np.ndarray]]:
    """Yield the layer, the population and the counts [N] of each population that spikes.

    ``neuron_spikes`` holds the counts of all neurons, layer after layer.
    """
    at = 0
    for layer, compiled in enumerate(program.populations):
        counts = neuron_spikes[at : at + compiled.population.size]
        at += compiled.population.size
        if compiled.spiking:
            yield layer, compiled, counts


def activity(program: Program, neuron_spikes: np.ndarray, examples: int) -> Figures:
    """Return the mean spikes per neuron and trial, and how many neurons never spiked."""
    figures: Figures = {}
    for _, compiled, counts in by_population(program, neuron_spikes):
        name, size = compiled.population.name, compiled.population.size
        figures[f"spikes_per_neuron/{name}"] = float(counts.sum() / size / examples)
        figures[f"silent_neurons/{name}"] = int((counts == 0).sum())
    return figures


def spread(program: Program, neuron_spikes: np.ndarray, examples: int) -> Figures:
    """Return how spikes per trial spread over the neurons of each hidden layer (DEBUG_HIDDEN_N).

    Of r_j = (spikes of neuron j in all trials) / trials: the standard deviation over neurons
    sqrt(mean((r_j - mean r)^2)), the minimum and the maximum.
    """
    figures: Figures = {}
    for _, compiled, counts in by_population(program, neuron_spikes):
        if compiled is program.populations[-1]:
            continue
        rates = counts / examples
        for figure, value in (("std", rates.std()), ("min", rates.min()), ("max", rates.max())):
            figures[f"spikes_per_neuron_{figure}/{compiled.population.name}"] = float(value)
    return figures


def of_validation(program: Program, neuron_spikes: np.ndarray, examples: int) -> Figures:
    """Return all of these figures for the hidden layers, as those of the validation."""
    figures = {
        **activity(program, neuron_spikes, examples),
        **spread(program, neuron_spikes, examples),
    }
    output = program.populations[-1].population.name
    return {
        f"validation_{name}": value
        for name, value in figures.items()
        if name.partition("/")[2] != output
    }
