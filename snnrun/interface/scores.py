"""The scores of the classes in a trial, from what the outputs did in it.

What a loss reads of the outputs is defined in snnrun.models.losses; backends keep only the loss and
the highest score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import sympy as sp

from snnrun.backends.base import Trial
from snnrun.compile.loss import TIME, BoundLoss, V, bind_loss
from snnrun.compile.program import Program
from snnrun.errors import ConfigError

SILENT_AFTER_MS = 1.0  # a silent output counts as one that spikes so long after the trial


class Scores:
    """The scores of a program's classes; the highest one is the prediction.

    They are what enters the softmax of the loss, or, for a loss of each step, the softmax itself,
    averaged over the steps.

    Raises:
        ConfigError: The network has no classes: its outputs learn target spikes or courses.
    """

    def __init__(self, program: Program) -> None:
        reader = _READERS.get(program.loss.readout.kernel)
        if reader is None:
            raise ConfigError("scores: this network learns targets, so there are no classes")
        self._program, self._loss, self._reader = program, bind_loss(program), reader

    def readout(self, trial: Trial) -> np.ndarray:
        """Return what the loss looks at, float64 [classes], or [steps, classes] if at each step."""
        return self._reader(self._program, self._loss, trial)

    def of(self, trial: Trial) -> np.ndarray:
        """Return the score of each class, float64 [classes]."""
        y = self.readout(trial)
        return self._loss.scores(y[None])[0] if y.ndim == 1 else _mean_softmax(self._loss.scores(y))


def _mean_softmax(z_TK: np.ndarray) -> np.ndarray:
    odds = np.exp(z_TK - z_TK.max(axis=1, keepdims=True))
    return (odds / odds.sum(axis=1, keepdims=True)).mean(axis=0)


def _potentials(program: Program, trial: Trial) -> np.ndarray:
    """Return the state that is read out, at the end of every step, float64 [steps, outputs]."""
    name = program.populations[-1].dynamics.neuron.variables[0]
    return trial.states[-1][name].astype(np.float64)


def _weighted_sum(program: Program, loss: BoundLoss, trial: Trial) -> np.ndarray:
    return loss.weights(program.steps, program.dt) @ _potentials(program, trial)


def _input_weighted_sum(program: Program, loss: BoundLoss, trial: Trial) -> np.ndarray:
    spikes = np.bincount(trial.input_steps, minlength=program.steps)
    activity, level = np.empty(program.steps), 0.0
    for step, count in enumerate(spikes.tolist()):
        level = loss.accumulator_decay * (level + loss.accumulator_weight * count)
        activity[step] = level
    weights = loss.weights(program.steps, program.dt) * activity
    return weights @ _potentials(program, trial)


def _counted(program: Program, loss: BoundLoss, trial: Trial) -> np.ndarray:
    """Return the potentials of the steps that count, float64 [steps, outputs]."""
    return _potentials(program, trial)[loss.counted]


def _maximum(program: Program, loss: BoundLoss, trial: Trial) -> np.ndarray:
    return _counted(program, loss, trial).max(axis=0)


def _mean_share(program: Program, loss: BoundLoss, trial: Trial) -> np.ndarray:
    V_TK = _counted(program, loss, trial)
    p = np.exp(V_TK - V_TK.max(axis=1, keepdims=True))
    return (p / p.sum(axis=1, keepdims=True)).mean(axis=0)


def _first_spike(program: Program, loss: BoundLoss, trial: Trial) -> np.ndarray:
    silent = np.inf if program.loss.silent_excluded else program.duration + SILENT_AFTER_MS
    times = np.full(program.populations[-1].population.size, silent)
    np.minimum.at(times, trial.neurons[-1], (trial.steps[-1] + 1) * program.dt)
    return times


def _integral(program: Program, loss: BoundLoss, trial: Trial) -> np.ndarray:
    integrand = sp.lambdify([V, TIME], loss.integrand, "numpy")
    y = _counted(program, loss, trial)
    times = (np.arange(1, program.steps + 1)[:, None] * program.dt)[loss.counted]
    return np.broadcast_to(integrand(y, times), y.shape).sum(axis=0) / loss.steps_counted


_READERS: Mapping[str, Callable[[Program, BoundLoss, Trial], np.ndarray]] = {
    "WeightedSum": _weighted_sum,
    "InputWeightedSum": _input_weighted_sum,
    "Integral": _integral,
    "Maximum": _maximum,
    "EachStep": _counted,
    "MeanShare": _mean_share,
    "FirstSpike": _first_spike,
    "FirstSpikeLag": _first_spike,
}
