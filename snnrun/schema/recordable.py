"""What can be recorded: names of populations, projections and variables, and when."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from snnrun.errors import did_you_mean
from snnrun.schema.kinds import shown
from snnrun.schema.rules import Values, count_of, output_spikes, rule

NEURON_VARIABLES: dict[str, tuple[str, ...]] = {
    "LIF": ("V", "I"),
    "hetLIF": ("V", "I"),
    "LIF_subtract": ("V", "I"),
    "ALIF": ("V", "I", "B"),
    "LI": ("V", "I"),
    "hetLI": ("V", "I"),
    "rockpool_LIF": ("V", "I"),
    "rockpool_LIF_delta": ("V",),
    "flux_LIF": ("V", "I"),
    "spytorch_LIF": ("V", "I", "S"),
    "spytorch_LI": ("V", "I"),
}
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


def populations_of(values: Values) -> tuple[str, ...]:
    """Return the names of the populations, input first, output last."""
    layers = values["N_HID_LAYER"]
    hidden = ["hidden"] if layers == 1 else [f"hidden{i}" for i in range(layers)]
    return ("input", *hidden, "output")


def projections_of(values: Values) -> tuple[str, ...]:
    """Return the names of the projections from the input to the output."""
    layers, recurrent = values["N_HID_LAYER"], values["RECURRENT"]
    if layers == 1:
        return ("in_to_hid", *(["hid_to_hid"] * recurrent), "hid_to_out")
    names = ["in_to_hid0"]
    for i in range(layers):
        names += [f"hid_to_hid{i}"] * recurrent + [f"hid_to_hidfwd{i}"] * (i < layers - 1)
    return (*names, "hid_to_out")


def expand(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the known names that ``name`` stands for: itself, or all that add a number to it."""
    known = tuple(known)
    if name in known:
        return (name,)
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


@rule("REC_SPIKES", "N_HID_LAYER", "LOSS_TYPE", "OUTPUT_NEURON_TYPE")
def _spiking_populations(values: Values) -> Iterator[str]:
    known = populations_of(values)
    for name in values["REC_SPIKES"]:
        if not expand(name, known):
            yield _unknown("REC_SPIKES", name, "population", known)
        elif name == "output" and output_spikes(values) is False:
            yield (
                f"REC_SPIKES=output: the outputs do not spike with LOSS_TYPE={values['LOSS_TYPE']};"
                " record their potential with REC_NEURONS=[[output, V]]"
            )


@rule("REC_NEURONS", "N_HID_LAYER", "HIDDEN_NEURON_TYPE", "OUTPUT_NEURON_TYPE")
def _neuron_variables(values: Values) -> Iterator[str]:
    known = populations_of(values)
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
        key = "OUTPUT_NEURON_TYPE" if name == "output" else "HIDDEN_NEURON_TYPE"
        neuron = values[key]
        variables = NEURON_VARIABLES.get(neuron)
        if variables is not None and variable not in variables:
            yield (
                f"REC_NEURONS=[{name}, {variable}]: {neuron} has no variable {variable}; it has "
                f"{', '.join(variables)}"
            )


@rule("REC_SYNAPSES", "N_HID_LAYER", "RECURRENT")
def _synapse_variables(values: Values) -> Iterator[str]:
    known = projections_of(values)
    for name, variable in values["REC_SYNAPSES"]:
        if not expand(name, known):
            yield _unknown("REC_SYNAPSES", name, "projection", known)
        if variable != "g":
            yield (
                f"REC_SYNAPSES=[{name}, {variable}]: synapses have no variable {variable}; they "
                "have g, the weight"
            )


@rule("TAU_OUTPUT_EPOCH_TRIAL", "TRAIN_TAU", "TRAIN_TAU_OUTPUT", "HIDDEN_NEURON_TYPE",
      "OUTPUT_NEURON_TYPE", "network.hidden_parameters", "network.output_parameters")  # fmt: skip
def _time_constants_that_differ(values: Values) -> Iterator[str]:
    """Refuse what is plain from the keys; the network tells of given values and users' neurons."""
    own = values["network.hidden_parameters"] or values["network.output_parameters"]
    trained = values["TRAIN_TAU"] or values["TRAIN_TAU_OUTPUT"]
    drawn = values["HIDDEN_NEURON_TYPE"] == "hetLIF" or values["OUTPUT_NEURON_TYPE"] == "hetLI"
    if values["TAU_OUTPUT_EPOCH_TRIAL"] and not (own or trained or drawn):
        yield f"TAU_OUTPUT_EPOCH_TRIAL={shown(values['TAU_OUTPUT_EPOCH_TRIAL'])}: {ALL_ALIKE}"


@rule(*EPOCH_TRIAL_KEYS, "N_EPOCH", "N_TRAIN", "N_VALIDATE", "N_BATCH")
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


RULES = (
    _spiking_populations,
    _neuron_variables,
    _synapse_variables,
    _time_constants_that_differ,
    _times_that_come,
)
