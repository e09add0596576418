"""What a person would notice in the figures of a run's epochs, and what to do about it.

The thresholds are chosen such that what sampling alone brings about, and the ups and downs of runs
that end well, are not noticed (tests/training/test_watch.py, tests/test_noticed_runs.py).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from snnrun.backends.base import Backend
from snnrun.compile.program import Program
from snnrun.config import Config
from snnrun.datasets.spikes import Splits
from snnrun.notice import Notice
from snnrun.optimisers import find_schedule
from snnrun.tasks import Task
from snnrun.training import advice
from snnrun.training.schedule import eased_in_after

# More than half of a layer: what is left is a smaller network than the one that was asked for.
SILENT_SHARE = 0.5
# A third of what was learned. Good runs lose a few points from one epoch to the next; the collapses
# that were seen go on from here to half and more.
LOST_SHARE = 1 / 3
# Standard deviations of a share of right answers, for what sampling does not explain: 4 between two
# epochs of hundreds, 3 above guessing in each of GUESSING_EPOCHS in a row.
FALL_SD, GUESSING_SD = 4.0, 3.0
GUESSING_EPOCHS = 3
SAME_LOSS = 0.01  # relative distance from the loss of guessing
LEARNED = 0.1  # a score of less than this above chance is not learned, where sampling plays no part
# Bounded optimisers and RMaxProp move a weight by about the learning rate per update, whatever the
# gradient is. Less than 0.1 % of the weights' size in an epoch, and 1 % in all left, is nothing.
STILL_EPOCH, STILL_REST = 1e-3, 1e-2

Columns = Mapping[str, np.ndarray]  # as in snnrun.record.columns.EPOCHS, one entry per epoch


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What must be known of a run to judge the figures of its epochs.

    Args:
        config: Of the run.
        program: Its network.
        examples: Training examples in an epoch.
        validated: Validation examples; 0 without.
        chance: Score of who has learned nothing; None where nothing is learned from labels.
        guess_loss: Cross entropy of who knows only how frequent each class is; None where the loss
            is none, or more than one.
    """

    config: Config
    program: Program
    examples: int
    validated: int
    chance: float | None
    guess_loss: float | None

    @property
    def task(self) -> Task:
        """What the network learns to do."""
        return self.program.task

    @property
    def updates(self) -> int:
        """How often the weights change in an epoch."""
        own = self.program.learning.updates(self.examples, self.config.TRIAL_MS)
        return own if own is not None else -(-self.examples // self.config.N_BATCH)

    @property
    def eased_in(self) -> int:
        """The first epoch that has the full learning rate from its beginning."""
        options = self.config.schedule
        warmup = 0.0 if find_schedule(options.name).own_start else options.warmup
        needed = eased_in_after(self.config.LR_EASE_IN_FACTOR)
        return math.ceil(max(needed / max(self.updates, 1), warmup))


def watched(config: Config, splits: Splits, program: Program) -> Watched:
    """Return what must be known of this run."""
    learned = any(tensor.trained for tensor in program.tensors)
    blind = program.rule.blind(config.rule)
    chance = program.task.chance(splits.train.labels) if learned and not blind else None
    shares = np.bincount(splits.train.labels) / len(splits.train)
    readout, present = program.loss.readout, shares[shares > 0]
    entropy = program.loss.label_term == "0" and not readout.lags
    entropy = entropy and chance is not None and not program.task.score_is_loss
    return Watched(
        config=config,
        program=program,
        examples=len(splits.train),
        validated=len(splits.validation) if splits.validation is not None else 0,
        chance=chance,
        guess_loss=float(-(present * np.log(present)).sum()) if entropy else None,
    )


@dataclass(frozen=True, kw_only=True)
class Stride:
    """How far an update moves an array that is trained in steps of its learning rate.

    Args:
        rate: Its learning rate.
        size: Root mean square of its values.
    """

    rate: float
    size: float

    @property
    def share(self) -> float:
        """The part of the size that an update moves."""
        return self.rate / self.size if self.size else math.inf


def strides(backend: Backend, rates: np.ndarray) -> list[Stride]:
    """Return those of all that is trained in steps of learning rates, at ``rates`` [tensors]."""
    program = backend.program
    bounded = program.optimiser.optimiser.bounded
    return [
        Stride(rate=float(rate), size=float(np.sqrt(np.mean(np.square(backend.get(tensor.name))))))
        for tensor, rate in zip(program.tensors, rates, strict=True)
        if bounded and tensor.states
    ]


def noticed(epochs: Columns, run: Watched, trained: Collection[Stride]) -> list[Notice]:
    """Return what there is to say of the last epoch, given all of them up to it.

    Args:
        epochs: The figures.
        run: What runs.
        trained: As from ``strides``, at the end of the last epoch.
    """
    fallen = [*_collapsed(epochs, run)]
    lost = fallen or [*_guessing(epochs, run)]
    return [
        *_silent(epochs, run, bool(fallen)),
        *lost,
        *_at_rest(epochs, run, trained),
        *_dropped(epochs, run),
    ]


def _silent(epochs: Columns, run: Watched, fallen: bool) -> Iterator[Notice]:
    """Say which hidden layers were silent, or mostly so; a network may do well with few neurons."""
    for index, layer in enumerate(run.program.populations[:-1]):
        name, size = layer.population.name, layer.population.size
        column = epochs.get(f"silent_neurons/{name}")
        if column is None or column[-1] <= SILENT_SHARE * size:
            continue
        silent = int(column[-1])
        how_many = f"all {size:,} neurons" if silent == size else f"{silent:,} of {size:,} neurons"
        alone = silent == size and not run.program.network.passes_by(name)
        then = "nothing can be learned" if alone else "nothing is learned through them"
        if run.program.rule.discrete:  # the surrogate passes gradients on
            then = "of their weights only those that lead to them are learned"
        wake = advice.wake(run.config, run.program, index)
        too_fast = column[0] <= SILENT_SHARE * size and (fallen or silent == size)
        what_to_do = advice.trying(*([advice.gentler(run.config)] if too_fast else []), wake)
        if silent < size and not fallen and wake:
            what_to_do = f"To wake them, try {wake}"
        yield Notice(
            what="silent layer",
            where=name,
            message=f"{how_many} of {name} had no spike in training, so {then}. " + what_to_do,
            epoch=_last(epochs),
            share=silent / size,
        )


def _collapsed(epochs: Columns, run: Watched) -> Iterator[Notice]:
    """Say that much of what had been learned is lost."""
    task = run.task
    split, n = ("validation", run.validated) if run.validated else ("train", run.examples)
    column = epochs[task.column(split)]
    if not np.isfinite(column[-1]):
        split, n, column = "train", run.examples, epochs[task.column("train")]
    now, best = float(column[-1]), float(np.nanmax(column))
    sd = task.spread(best, n)
    least = LEARNED if sd is None else FALL_SD * math.sqrt(2) * sd
    floor = run.chance or 0.0
    if best - now > max(least, LOST_SHARE * (best - floor)) and best > floor:
        when = int(epochs["epoch"][np.nanargmax(column)])
        name = "training" if split == "train" else split
        yield Notice(
            what="collapse",
            where=f"{name} {task.word}",
            message=f"{task.fallen(name, now, best)} in epoch {when}. "
            + advice.trying(advice.gentler(run.config)),
            epoch=_last(epochs),
            share=min(1.0, (best - now) / (best - floor)),
        )
        return
    loss = epochs["train_loss"]
    if not task.score_is_loss and loss[-1] > loss[0] and np.nanmin(loss) < loss[0] / 2:
        when = int(epochs["epoch"][np.nanargmin(loss)])
        yield Notice(
            what="collapse",
            where="training loss",
            message=f"training loss rose to {loss[-1]:.4g}, above that of the first epoch, from "
            f"{np.nanmin(loss):.4g} in epoch {when}. " + advice.trying(advice.gentler(run.config)),
            epoch=_last(epochs),
        )


def _guessing(epochs: Columns, run: Watched) -> Iterator[Notice]:
    """Say that the network is no better than one that has learned nothing."""
    task, chance, column = run.task, run.chance, epochs[run.task.column("train")]
    since = max(run.eased_in, len(column) - GUESSING_EPOCHS)
    if chance is None or len(column) - since < GUESSING_EPOCHS:
        return
    now, loss = column[since:], epochs["train_loss"][since:]
    sd = task.spread(chance, run.examples)
    if (now > chance + (SAME_LOSS if sd is None else GUESSING_SD * sd)).any():
        return
    too_large = bool(now[-1] < chance)
    if not task.score_is_loss:
        guess_loss = run.guess_loss
        learned = guess_loss is not None and (loss < guess_loss * (1 - SAME_LOSS)).any()
        falls = bool((np.diff(loss) < 0).all()) and loss[-1] < loss[0] * (1 - SAME_LOSS)
        if learned or falls:
            return
        too_large = guess_loss is not None and float(loss[-1]) > guess_loss * (1 + SAME_LOSS)
    yield Notice(
        what="nothing learned",
        message=f"in the last {GUESSING_EPOCHS} epochs {task.at_chance(now[-1], chance)}. "
        + advice.trying(_what_lets_it_learn(epochs, run, too_large=too_large)),
        epoch=_last(epochs),
    )


def _what_lets_it_learn(epochs: Columns, run: Watched, *, too_large: bool) -> str:
    for index, layer in enumerate(run.program.populations[:-1]):
        silent = epochs.get(f"silent_neurons/{layer.population.name}")
        if silent is not None and silent[-1] == layer.population.size:
            return advice.wake(run.config, run.program, index)
    rates = epochs["learning_rate"]
    if rates[-1] < rates.max() / 100:
        return advice.keep_learning(run.config)
    change = advice.gentler if too_large else advice.bolder
    return advice.usual_step(run.config) or change(run.config)


def _at_rest(epochs: Columns, run: Watched, trained: Collection[Stride]) -> Iterator[Notice]:
    """Say that the learning rates are too small to change anything in the epochs that are left."""
    epoch = _last(epochs)
    left = run.config.N_EPOCH - epoch - 1
    if not trained or left < 1 or epoch < run.eased_in:
        return
    if find_schedule(run.config.schedule.name).factor is not None:  # which ends as it was told to
        return
    moves = max(stride.share for stride in trained) * run.updates  # in an epoch, at most
    if moves < STILL_EPOCH and moves * left < STILL_REST:
        rates = sorted({stride.rate for stride in trained})
        of = f"a learning rate of {rates[0]:.2g}"
        if rates[0] < rates[-1]:
            of = f"learning rates of {rates[0]:.2g} to {rates[-1]:.2g}"
        yield Notice(
            what="no learning rate",
            message=f"with {of}, what is left of the run changes no "
            f"weights by more than {moves * left:.1g} of their size. "
            + advice.trying(advice.keep_learning(run.config)),
            epoch=epoch,
        )


def _dropped(epochs: Columns, run: Watched) -> Iterator[Notice]:
    """Say how many spikes of a layer had no gradient, as buffers were full."""
    for layer in run.program.populations:
        name, size = layer.population.name, layer.population.size
        column = epochs.get(f"dropped_spikes/{name}")
        if column is None or not column[-1] > 0:
            continue
        dropped, room = int(column[-1]), run.config.N_MAX_SPIKE
        spikes = round(float(epochs[f"spikes_per_neuron/{name}"][-1]) * size * run.examples)
        yield Notice(
            what="spikes without gradient",
            where=name,
            message=f"{dropped:,} of {spikes:,} spikes of {name} exceeded N_MAX_SPIKE={room} and "
            f"had no gradient. Give more room: N_MAX_SPIKE={2 * room}",
            epoch=_last(epochs),
            share=dropped / max(spikes, 1),
        )


def _last(epochs: Columns) -> int:
    return int(epochs["epoch"][-1])
