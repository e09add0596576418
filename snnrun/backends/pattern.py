"""How well output spikes meet the target spikes of a pattern: figures of each trial.

Times are compared on the grid. A target spike is hit within t ms if its neuron has an output spike
at most t away; an output spike is spurious if its neuron has no target spike that near.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from snnrun.compile.loss import kernel_of
from snnrun.compile.program import Program
from snnrun.datasets.spikes import SpikeData, Targets
from snnrun.errors import ConfigError

Spikes = tuple[np.ndarray, np.ndarray]  # steps and neurons


def figures_of(
    program: Program,
    targets: Targets,
    examples: np.ndarray,
    ratio: np.ndarray,
    square: np.ndarray,
    layer_spikes: np.ndarray,
    output: Spikes,
) -> dict[str, np.ndarray]:
    """Return the figures of snnrun.tasks.spike_pattern, one value per trial.

    Args:
        examples: The trials, in order.
        ratio: Error of each relative to that of silent outputs.
        square: Sum over its steps of the squared error, mean over outputs.
        layer_spikes: Spikes of each trial and layer.
        output: Spikes of the outputs in all trials, one trial after the other.
    """
    dt, seconds = program.dt, program.duration / 1000
    ends = np.concatenate([[0], np.cumsum(layer_spikes[:, -1])])
    found: dict[str, list[float]] = {"hits_2ms": [], "hits_5ms": [], "spurious_5ms": []}
    for k, example in enumerate(examples.tolist()):
        trial = slice(ends[k], ends[k + 1])
        spikes, wanted = (output[0][trial], output[1][trial]), targets.of(example)
        to_spike = distances_ms(wanted, spikes, dt)
        to_target = distances_ms(spikes, wanted, dt)
        found["hits_2ms"].append(share(to_spike <= 2.0))
        found["hits_5ms"].append(share(to_spike <= 5.0))
        found["spurious_5ms"].append(share(to_target > 5.0))
    figures = {"error_ratio": ratio, "van_rossum_distance": 0.5 * square * dt}
    figures |= {name: np.array(values) for name, values in found.items()}
    for layer, compiled in enumerate(program.populations):
        population = compiled.population
        figures[f"rate_{population.name}"] = layer_spikes[:, layer] / (population.size * seconds)
    return figures


class PatternFigures:
    """Figures of trials whose outputs have targets.

    Args:
        who: The rule or loss that needs targets, for messages.
        silent: Returns the loss that silent outputs would have for an example of the targets.
    """

    def __init__(
        self, program: Program, who: str, silent: Callable[[Program, Targets, int], float]
    ) -> None:
        self._program = program
        self._who = who
        self._silent = silent
        self._known: dict[tuple[int, int], tuple[Targets, float]] = {}  # by id, held while known

    def require(self, data: SpikeData) -> Targets:
        """Return the targets of ``data``; ConfigError where it has none."""
        if data.targets is None:
            raise ConfigError(
                f"{self._who} needs target spikes, which this data set has not; use dataset=pattern"
            )
        return data.targets

    def of(
        self,
        targets: Targets,
        examples: np.ndarray,
        loss: np.ndarray,
        square: np.ndarray,
        layer_spikes: np.ndarray,
        output: Spikes,
    ) -> dict[str, np.ndarray]:
        """Return the columns of ``figures_of`` for ``examples`` of these losses."""
        silent = np.array([self._silent_loss(targets, e) for e in examples.tolist()])
        return figures_of(
            self._program, targets, examples, loss / silent, square, layer_spikes, output
        )

    def _silent_loss(self, targets: Targets, example: int) -> float:
        key = id(targets), example
        if key not in self._known:
            self._known[key] = targets, self._silent(self._program, targets, example)
        return self._known[key][1]


class TrainFigures(PatternFigures):
    """Figures of trials whose loss is the distance of spike trains."""

    @classmethod
    def for_loss(cls, program: Program) -> TrainFigures | None:
        """Return them for the loss of a program; None where it has no targets."""
        trains = program.loss.readout.targets
        return cls(program, f"loss {program.loss.name}", silent_trains) if trains else None

    def of_loss(
        self,
        data: SpikeData,
        examples: np.ndarray,
        loss: np.ndarray,
        layer_spikes: np.ndarray,
        output: Spikes,
    ) -> dict[str, np.ndarray]:
        """Return the columns of ``figures_of`` for ``examples`` of these losses."""
        square = loss / (0.5 * self._program.dt * self._program.populations[-1].population.size)
        return self.of(self.require(data), examples, loss, square, layer_spikes, output)


def silent_trains(program: Program, targets: Targets, example: int) -> float:
    """Return the loss of spike trains of silent outputs, in a trial that begins from rest."""
    wanted = np.zeros((program.steps, program.populations[-1].population.size))
    wanted[targets.of(example)] = 1.0
    error = kernel_of(program).filtered(wanted, program.dt)
    loss = float(0.5 * program.dt * (error**2).sum())
    if not loss > 0:
        raise ConfigError(
            f"loss {program.loss.name}: all target spikes are due in the last step, "
            "after which there is nothing to compare; use a longer TRIAL_MS"
        )
    return loss


def distances_ms(of: Spikes, to: Spikes, dt: float) -> np.ndarray:
    """Return how far each spike ``of`` is from the nearest one ``to`` of its neuron; inf: none."""
    apart = 1 << 40  # steps between one neuron's spikes and the next one's, more than any trial has
    own = np.asarray(of[1], np.int64) * apart + np.asarray(of[0], np.int64)
    others = np.sort(np.asarray(to[1], np.int64) * apart + np.asarray(to[0], np.int64))
    edges = np.array([-(apart // 2)], np.int64)
    others = np.concatenate([edges, others, others[-1:] + apart if len(others) else -edges])
    at = np.searchsorted(others, own)
    steps = np.minimum(
        np.abs(others[np.minimum(at, len(others) - 1)] - own), np.abs(own - others[at - 1])
    )
    # within rounding of dt, so that 2 ms are 20 steps of 0.1 ms
    return np.where(steps < apart // 4, np.round(steps * dt, 9), np.inf)


def share(these: np.ndarray) -> float:
    """Return the share of true entries; NaN where there are none at all."""
    return float(these.mean()) if len(these) else float("nan")
