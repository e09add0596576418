"""Which mini-batches are recorded in full, and recording them.

A recorded mini-batch is run once more, example by example, with the weights that it met: the same
spikes, bit for bit, with every state kept. So a recording costs nothing where none is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial

import numpy as np

from snnrun.backends.base import Backend, Noise, Trial
from snnrun.compile.program import DELAYS, WEIGHTS, Program
from snnrun.config import Config
from snnrun.datasets.feed import Served
from snnrun.record.recordings import Recordings

Pair = tuple[str, str]
UNIT = "1"  # states and weights are in units of the model
MS = "ms"  # the unit of time constants


class Recorder:
    """Records spikes, variables and weights at the epochs and trials that the config names."""

    def __init__(self, config: Config, backend: Backend, recordings: Recordings) -> None:
        self._config = config
        self._backend = backend
        self._program = backend.program
        self._recordings = recordings
        self._spikes = tuple(config.REC_SPIKES)
        self._variables: list[Pair] = [(p, v) for p, v in config.REC_NEURONS]
        kinds = {"g": WEIGHTS, "d": DELAYS}
        self._synapses = [(projection, kinds[what]) for projection, what in config.REC_SYNAPSES]

    def wanted(self, epoch: int, batches: Iterable[int]) -> list[int]:
        """Return those of ``batches`` at which anything is recorded."""
        return [batch for batch in batches if any(self._what(epoch, batch))]

    def record(self, epoch: int, batch: int, served: Served, phase: str, noise: Noise) -> None:
        """Record mini-batch ``batch``, which is about to run: its spikes, variables and weights."""
        spikes, variables, weights, synapses, taus, delays = self._what(epoch, batch)
        if spikes or variables:
            run = partial(self._backend.trial, served.data, noise=noise)
            self._record_examples(epoch, batch, served, phase, run, spikes, variables)
        if weights or synapses or taus or delays:
            self._record_learned(epoch, batch, phase, weights, synapses, taus, delays)

    def _what(self, epoch: int, batch: int) -> tuple[bool, bool, bool, bool, bool, bool]:
        c, here = self._config, [epoch, batch]

        def named(key: str) -> bool:
            return here in [list(pair) for pair in getattr(c, key)]

        def chosen(key: str) -> bool:
            return not getattr(c, key) or named(key)

        interval = c.W_REPORT_INTERVAL
        regular = interval > 0 and epoch % c.W_EPOCH_INTERVAL == 0 and batch % interval == 0
        return (
            bool(self._spikes) and chosen("REC_SPIKES_EPOCH_TRIAL"),
            bool(self._variables) and chosen("REC_NEURONS_EPOCH_TRIAL"),
            regular or named("W_OUTPUT_EPOCH_TRIAL"),
            bool(self._synapses) and chosen("REC_SYNAPSES_EPOCH_TRIAL"),
            named("TAU_OUTPUT_EPOCH_TRIAL"),
            named("DELAY_OUTPUT_EPOCH_TRIAL"),
        )

    def _record_examples(
        self,
        epoch: int,
        batch: int,
        served: Served,
        phase: str,
        run: Callable[[int], Trial],
        spikes: bool,
        variables: bool,
    ) -> None:
        kept: dict[Pair, list[np.ndarray]] = {pair: [] for pair in self._variables}
        with ExitStack() as stack:
            part = None
            if spikes:
                sizes = {name: self._program.network.size(name) for name in self._spikes}
                steps = self._config.SPK_REC_STEPS
                writer = self._recordings.spike_writer(
                    epoch, batch, sizes, phase=phase, buffer_steps=steps
                )
                part = stack.enter_context(writer)
            for example, number, label in zip(
                served.examples, served.numbers, served.labels, strict=True
            ):
                result = run(int(example))
                if part is not None:
                    part.add(
                        {n: spikes_of(self._program, result, n) for n in self._spikes},
                        example=int(number),
                        label=int(label),
                        prediction=result.prediction,
                    )
                for (population, variable), arrays in kept.items() if variables else ():
                    states = result.states[layer_of(self._program, population)]
                    arrays.append(states[variable].astype(np.float32))
        if variables:
            self._recordings.variables(
                epoch,
                batch,
                {pair: np.stack(arrays) for pair, arrays in kept.items()},
                phase=phase,
                units=dict.fromkeys(self._variables, UNIT),
                examples=served.numbers,
            )

    def _record_learned(
        self,
        epoch: int,
        batch: int,
        phase: str,
        weights: bool,
        synapses: bool,
        taus: bool,
        delays: bool,
    ) -> None:
        """Record all that is learned, or REC_SYNAPSES, time constants or delays of it."""
        values: dict[str, dict[str, np.ndarray]] = {WEIGHTS: {}, DELAYS: {}}
        for tensor in self._program.tensors:
            if tensor.projection is None:
                continue
            of = tensor.projection.name
            chosen = synapses and (of, tensor.kind) in self._synapses
            if weights or chosen or (delays and tensor.kind == DELAYS):
                values[tensor.kind][of] = self._backend.get(tensor.name)
        parameters, units = {}, {}
        for pair, unit, row in self._parameters() if weights or taus else ():
            if weights or unit == MS:
                parameters[pair] = row
                units[pair] = unit
        self._recordings.weights(
            epoch,
            batch,
            values[WEIGHTS],
            phase=phase,
            delays=values[DELAYS],
            parameters=parameters,
            parameter_units=units,
        )

    def _parameters(self) -> Iterator[tuple[Pair, str, np.ndarray]]:
        """Yield (population, name), unit and values [neurons] of what neurons differ in."""
        for tensor in self._program.tensors:
            if tensor.parameters:
                population = self._program.populations[tensor.layer].population
                assert population.neuron is not None
                rows = self._backend.get(tensor.name)
                for name, row in zip(tensor.parameters, rows, strict=True):
                    yield (population.name, name), population.neuron.parameter(name).unit, row


def spikes_of(program: Program, trial: Trial, population: str) -> tuple[np.ndarray, np.ndarray]:
    """Return times (ms) and ids of a population's spikes, both [spikes], in the order of time.

    Inputs come at the start of a step, spikes of neurons at its end.
    """
    if population == "input":
        return trial.input_steps * program.dt, trial.input_channels
    layer = layer_of(program, population)
    return (trial.steps[layer] + 1) * program.dt, trial.neurons[layer]


def layer_of(program: Program, population: str) -> int:
    """Return the number of a population among the layers."""
    return [c.population.name for c in program.populations].index(population)
