"""What every backend of a rule that learns online has: patterns presented one after the other.

What a trial leaves (potentials, traces, accumulators, the clock of the updates) the next one begins
with. ``carried`` holds it for checkpoints; evaluation and recordings put it back afterwards. Its
arrays have the same names and meaning on every backend, so that a run may change over.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from snnrun.backends.base import NO_NOISE, Backend, Noise, Results, Trial, count_activations
from snnrun.backends.pattern import PatternFigures, Spikes
from snnrun.compile.program import OF_ONLINE, Program
from snnrun.datasets.spikes import SpikeData, Targets
from snnrun.errors import ConfigError
from snnrun.models.kernel import Kernel
from snnrun.rules.learning import Online
from snnrun.streams import stream

WHICH = ("value", *OF_ONLINE)  # weights, accumulators, roots of RMaxProp's maximum


@dataclass(frozen=True, kw_only=True)
class Presented:
    """What came of presented trials (E of them, L layers).

    Args:
        error: Running mean of the squared error after each trial, mean over outputs, float64 [E].
        square: Sum over the steps of each trial of the squared error, likewise, float64 [E].
        layer_spikes: int32 [E, L].
        neuron_spikes: int64 [neurons of all layers], summed over the trials.
        failed: The first trial in which a gradient was not finite, or -1.
    """

    error: np.ndarray
    square: np.ndarray
    layer_spikes: np.ndarray
    neuron_spikes: np.ndarray
    failed: int


def online_of(program: Program) -> Online:
    """Return how a program learns that learns online."""
    assert isinstance(program.learning, Online)
    return program.learning


def kernel_of(rule: Online) -> Kernel:
    """Return what spikes are filtered with where they become errors."""
    return Kernel(rise=rule.tau_rise, decay=rule.tau_decay)


def delay_steps(rule: Online, dt: float) -> int:
    """Return the axonal delay in steps."""
    return round(rule.delay_ms / dt)


def lag_steps(program: Program, layer: int) -> int:
    """Return the steps from a presynaptic spike to its arrival at a layer.

    Spikes of the input arrive in their own step, those of a layer in the next one, if not delayed.
    """
    return delay_steps(online_of(program), program.dt) + (layer > 0)


def numbers_of(program: Program) -> dict[str, float]:
    """Return the numbers of the rule, by the names that generated code has for them."""
    rule, dt = online_of(program), program.dt
    numbers = {
        "TAU_RISE": rule.tau_rise,
        "TAU_DECAY": rule.tau_decay,
        "BETA": rule.beta,
        "FLOOR": rule.sigma_floor,
        "NORM": kernel_of(rule).norm,
        "RISE_DECAY": math.exp(-dt / rule.tau_rise),
        "DECAY_DECAY": math.exp(-dt / rule.tau_decay),
        "MEAN_DECAY": math.exp(-dt / rule.tau_error),
        "TAU_RMS": rule.tau_rms,
        "EPSILON": rule.epsilon,
        "W_MAX": rule.w_limit,
        "HET_RHO": rule.het_rho,
        "HET_A": rule.het_a,
        "OWN_DECAY": math.exp(-dt / rule.het_tau),
    }
    return {name: float(value) for name, value in numbers.items()}


def carried_names(program: Program) -> list[str]:
    """Return the names of what a program carries from trial to trial, beside the clock.

    They are in the order of OnlineWork::fields in native/runtime/online_layer.hpp.
    """
    rule = online_of(program)
    names = []
    for index, layer in enumerate(program.network.layers):
        output = index == len(program.network.layers) - 1
        own = ["e", "lambda", "z", "z_filtered", "states", "refractory"]
        own += ["trace_rows", "slope_rows", "error_rows"]
        if lag_steps(program, index) > 0:
            own.append("underway")
        if output:
            own += ["error_rise", "error_decay", "mean_square"]
        elif rule.het_rho:
            own += ["own_trace", "own_sum", "own_rows"]
        names += [f"{layer.population.name}_{name}" for name in own]
    return names


class OnlineRuns(Backend):
    """The methods of :class:`snnrun.backends.base.Backend` that all online backends share."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.rule = online_of(program)
        self.stop = program.steps  # steps of a trial to run; tests look at the state in between
        self._clock = 0  # steps of training so far
        self._patterns = PatternFigures(program, f"rule {program.rule.name}", silent_loss)

    def fixed_feedback(self) -> np.ndarray | None:
        """Return the feedback [hidden, outputs] where it is fixed and does not follow weights."""
        sizes = [c.population.size for c in self.program.populations]
        if len(sizes) == 1 or self.rule.feedback not in ("random", "uniform"):
            return None
        if self.rule.feedback == "uniform":
            return np.ones((sizes[0], sizes[-1]))
        draw = stream(self.rule.feedback_seed, "superspike feedback")
        return draw.normal(0.0, self.rule.feedback_sd, (sizes[0], sizes[-1]))

    def _present(
        self,
        data: SpikeData,
        targets: Targets,
        examples: np.ndarray,
        rates: np.ndarray | None,
        *,
        trace: bool,
    ) -> Presented:
        """Present ``examples`` in order; without ``rates`` the weights are frozen."""
        raise NotImplementedError

    def _spikes(self, layer: int) -> Spikes:
        """Return steps and neurons of the last call's spikes of a layer, trial after trial."""
        raise NotImplementedError

    def _states(self, layer: int) -> dict[str, np.ndarray]:
        """Return the states of a layer in every step of a traced trial, [steps, neurons]."""
        raise NotImplementedError

    def train(
        self,
        data: SpikeData,
        examples: np.ndarray,
        batch: int,
        rates: np.ndarray,
        updates: int,
        noise: Noise,
    ) -> Results:
        """Present ``examples`` in order while the synapses learn; one step size per example."""
        results = self._call(data, examples, rates=rates)
        self._clock += len(examples) * self.stop
        return results

    def evaluate(self, data: SpikeData, examples: np.ndarray) -> Results:
        """Present ``examples`` with frozen weights; what follows is as if it had not happened.

        The error is the mean over these trials alone.
        """
        with self._put_back():
            kept = self.carried()
            output = self.program.populations[-1].population.name
            kept[f"{output}_mean_square"][:] = 0.0
            self.carry({**kept, "clock": np.array(0, np.int64)})
            return self._call(data, examples)

    def gradient(self, data: SpikeData, examples: np.ndarray, noise: Noise = NO_NOISE) -> Results:
        """Refuse: the rule follows no gradient of a loss."""
        raise ConfigError(
            f"rule {self.program.rule.name} has no gradient that could be compared; snnrun "
            "gradcheck is for rule=eventprop"
        )

    def trial(self, data: SpikeData, example: int, noise: Noise = NO_NOISE) -> Trial:
        """Run one example and return everything that happened; what follows is unaffected.

        With ``noise`` in the network, the weights change as they will in the trial to come.
        """
        weights = {
            t.name: [self.get(t.name, which) for which in WHICH] for t in self.program.tensors
        }
        trials = self._clock // self.program.steps
        rates = np.array([self.rule.rate(trials, self.program.duration)])
        with self._put_back():
            results = self._call(
                data,
                np.array([example], np.int64),
                rates=rates if noise.in_network else None,
                trace=True,
            )
            trial = self._traced(data, example, results)
        for name, arrays in weights.items():
            for which, array in zip(WHICH, arrays, strict=True):
                self.set(name, array, which)
        return trial

    def _traced(self, data: SpikeData, example: int, results: Results) -> Trial:
        layers = range(len(self.program.populations))
        spikes = [self._spikes(layer) for layer in layers]
        input_steps, input_channels = data.events(example)
        return Trial(
            loss=float(results.loss[0]),
            prediction=-1,
            steps=tuple(step for step, _ in spikes),
            neurons=tuple(neuron for _, neuron in spikes),
            states=tuple(self._states(layer) for layer in layers),
            input_steps=input_steps.astype(np.int32),
            input_channels=input_channels.astype(np.int32),
        )

    @contextmanager
    def _put_back(self) -> Iterator[None]:
        kept = self.carried()
        try:
            yield
        finally:
            self.carry(kept)

    def _call(
        self,
        data: SpikeData,
        examples: np.ndarray,
        rates: np.ndarray | None = None,
        trace: bool = False,
    ) -> Results:
        targets, count = self._patterns.require(data), len(examples)
        found = self._present(data, targets, examples, rates, trace=trace)
        ends = self._clock + self.stop * np.arange(1, count + 1)
        passed = ends * self.program.dt / self.rule.tau_error
        loss = found.error * self.rule.error_scale / (1.0 - np.exp(-passed) + 1e-9)
        return Results(
            loss=loss,
            prediction=np.full(count, -1, np.int32),
            layer_spikes=found.layer_spikes,
            neuron_spikes=found.neuron_spikes,
            failed_batch=found.failed,
            failed_tensor=self.program.tensors[-1].name if found.failed >= 0 else "",
            activations=self._activations(data, examples, found.layer_spikes),
            figures=self._patterns.of(
                targets,
                examples,
                loss,
                found.square,
                found.layer_spikes,
                self._spikes(len(self.program.populations) - 1),
            ),
        )

    def _activations(
        self, data: SpikeData, examples: np.ndarray, layer_spikes: np.ndarray
    ) -> np.ndarray | None:
        """Return the counts of the last call, if they are asked for."""
        activations = self.no_activations()
        if activations is None:
            return None
        for example in examples.tolist() if self.counts_inputs else ():
            steps, channels = data.events(example)
            count_activations(activations, steps.astype(int), channels, self.program.steps)
        first = self.program.network.input.size
        for layer, compiled in enumerate(self.program.populations):
            steps, neurons = self._spikes(layer)
            at = 0
            for spikes in layer_spikes[:, layer].tolist():
                here = slice(at, at + spikes)
                count_activations(
                    activations, steps[here], neurons[here], self.program.steps, first
                )
                at += spikes
            first += compiled.population.size
        return activations


def silent_loss(program: Program, targets: Targets, example: int) -> float:
    """Return the loss of silent outputs in the steady state of one pattern, repeated for ever.

    With ``reset_state_per_trial`` each trial starts from 0.
    """
    rule, size = online_of(program), program.populations[-1].population.size
    spikes = np.zeros((program.steps, size))
    spikes[targets.of(example)] = 1.0
    periodic = not rule.reset_state_per_trial
    square = np.mean(kernel_of(rule).filtered(spikes, program.dt, periodic=periodic) ** 2, axis=0)
    return float(square.mean() * rule.tau_error / 1000 * rule.error_scale)
