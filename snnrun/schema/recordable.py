"""What can be recorded: names of populations, projections and variables, and when."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from snnrun.errors import did_you_mean
from snnrun.keys.check import Checks, Values, count_of
from snnrun.keys.kinds import shown
from snnrun.models.neurons import DRAWN, NEURON_TYPES
from snnrun.schema.checks import output_spikes
from snnrun.schema.layers import (
    INPUT,
    layers_of,
    population_names,
    projection_names,
)

EPOCH_TRIAL_KEYS = (
    "W_OUTPUT_EPOCH_TRIAL",
    "TAU_OUTPUT_EPOCH_TRIAL",
    "REC_SPIKES_EPOCH_TRIAL",
    "REC_NEURONS_EPOCH_TRIAL",
    "REC_SYNAPSES_EPOCH_TRIAL",
)

ALL_ALIKE = (
    "no time constant differs from neuron to neuron; train them with TRAIN_TAU=true, draw them "
    "with HIDDEN_NEURON_TYPE=hetLIF, or leave this out"
)

CHECKS = Checks()


def expand(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the known names that ``name`` stands for: itself, or all that add a number to it.

    ``hidden`` stands for all populations between the input and the output.
    """
    known = tuple(known)
    if name in known:
        return (name,)
    if name == "hidden" and known[:1] == (INPUT,):
        return known[1:-1]
    return tuple(k for k in known if k.startswith(name) and k[len(name) :].isdigit())


def expand_all(names: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Return all that ``names`` stand for, each once."""
    known = tuple(known)
    return tuple(dict.fromkeys(full for name in names for full in expand(name, known)))


def expand_pairs(pairs: Iterable[tuple[str, str]], known: Iterable[str]) -> tuple[Any, ...]:
    """Return [name, variable] pairs with each name expanded, each pair once."""
    known = tuple(known)
    full = ((n, variable) for name, variable in pairs for n in expand(name, known))
    return tuple(dict.fromkeys(full))


def from_start(pairs: Iterable[tuple[int, int]], epochs: int) -> tuple[tuple[int, int], ...]:
    """Return [epoch, trial] pairs with all epochs counted from the start, sorted, each once."""
    return tuple(sorted({(e + epochs if e < 0 else e, trial) for e, trial in pairs}))


@CHECKS.add
def _spiking_populations(values: Values) -> Iterator[str]:
    known = population_names(values)
    for name in values["REC_SPIKES"]:
        if not expand(name, known):
            yield _unknown("REC_SPIKES", name, "population", known)
        elif name == "output" and output_spikes(values) is False:
            yield (
                f"REC_SPIKES=output: the outputs do not spike with LOSS_TYPE={values['LOSS_TYPE']};"
                " record their potential with REC_NEURONS=[[output, V]]"
            )


@CHECKS.add
def _neuron_variables(values: Values) -> Iterator[str]:
    known = population_names(values)
    neurons = {layer.name: layer.neuron for layer in layers_of(values)}
    for name, variable in values["REC_NEURONS"]:
        if not expand(name, known):
            yield _unknown("REC_NEURONS", name, "population", known[1:])
            continue
        if name == "input":
            yield (
                f"REC_NEURONS=[input, {variable}]: the input has no variables; its spikes are "
                "recorded with REC_SPIKES=[input]"
            )
            continue
        for full in expand(name, known):
            neuron = neurons[full]
            if neuron not in NEURON_TYPES:
                continue
            variables = NEURON_TYPES[neuron][0].variables
            if variable in variables:
                continue
            yield (
                f"REC_NEURONS=[{name}, {variable}]: {neuron} has no variable {variable}; it has "
                f"{', '.join(variables)}"
            )
            break


@CHECKS.add
def _synapse_variables(values: Values) -> Iterator[str]:
    known = projection_names(values)
    for name, variable in values["REC_SYNAPSES"]:
        if not expand(name, known):
            yield _unknown("REC_SYNAPSES", name, "projection", known)
        if variable != "g":
            yield (
                f"REC_SYNAPSES=[{name}, {variable}]: synapses have no variable {variable}; they "
                "have g, the weight"
            )


@CHECKS.add
def _time_constants_that_differ(values: Values) -> Iterator[str]:
    """Refuse what is plain from the keys; the network tells of given values and users' neurons."""
    layers = layers_of(values)
    own = any(layer.parameters for layer in layers)
    trained = any(layer.train_tau for layer in layers)
    drawn = any(layer.neuron in DRAWN for layer in layers)
    if values["TAU_OUTPUT_EPOCH_TRIAL"] and not (own or trained or drawn):
        yield f"TAU_OUTPUT_EPOCH_TRIAL={shown(values['TAU_OUTPUT_EPOCH_TRIAL'])}: {ALL_ALIKE}"


@CHECKS.add
def _times_that_come(values: Values) -> Iterator[str]:
    epochs, trials = values["N_EPOCH"], trials_of(values)
    for key in EPOCH_TRIAL_KEYS:
        for epoch, trial in values[key]:
            if not -epochs <= epoch < epochs:
                yield (
                    f"{key}=[{epoch}, {trial}]: there is no epoch {epoch}; epochs count from 0, "
                    f"and N_EPOCH is {epochs}"
                )
            elif trials is not None and trial >= trials:
                yield (
                    f"{key}=[{epoch}, {trial}]: there is no trial {trial}; an epoch has {trials} "
                    "mini-batches, counted from 0, with those of the evaluation"
                )


def trials_of(values: Values) -> int | None:
    """Return the mini-batches of an epoch, evaluation included; None where the data decide it."""
    counts = [count_of(values, key) for key in ("N_TRAIN", "N_VALIDATE")]
    if any(count is None for count in counts):
        return None
    return sum(math.ceil(count / values["N_BATCH"]) for count in counts if count is not None)


def _unknown(key: str, name: str, what: str, known: Iterable[str]) -> str:
    known = tuple(known)
    hint = did_you_mean(name, known)
    return f"{key}={name}: there is no such {what}; there are {', '.join(known)}.{hint}"
