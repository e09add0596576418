"""The learning rate of each mini-batch: what its keys and schedule=... make of ETA together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from snnrun.compile.program import DELAYS, PARAMETERS, WEIGHTS, Program, Tensor
from snnrun.config import Config
from snnrun.errors import ConfigError, did_you_mean
from snnrun.optimisers import Moment, find_schedule
from snnrun.optimisers.schedules import warmup
from snnrun.rules.learning import Learning
from snnrun.tasks import Task
from snnrun.tasks.task import SPLITS

EASE_IN_START = 1e-3  # of the full rate


def eased_in_after(factor: float) -> float:
    """Return after how many batches an ease-in by LR_EASE_IN_FACTOR has come to the full rate."""
    return -math.log(EASE_IN_START) / math.log(factor) if factor > 1 else 0.0


def _names(tensor: Tensor, program: Program) -> list[str]:
    """Return the entries of optimiser.rates that a tensor follows, the first one first."""
    output = tensor.layer == len(program.populations) - 1
    group = {WEIGHTS: ["output"] if output else [], PARAMETERS: ["parameters"], DELAYS: []}
    return [tensor.name, *group[tensor.kind]]


def require_rates(config: Config, program: Program) -> None:
    """Raise ConfigError where optimiser.rates has an entry that nothing follows."""
    followed = {n for t in program.tensors if t.trained for n in _names(t, program)}
    for name, rate in config.optimiser.rates.items():
        if name not in followed:
            there = ", ".join(sorted(followed)) or "nothing"
            raise ConfigError(
                f"optimiser.rates.{name}={rate:g}: has no effect, as nothing that is trained is "
                f"called so.{did_you_mean(name, followed)} There are: {there}"
            )


def delay_width(config: Config, epoch: int) -> float:
    """Return over how many steps to each side delayed spikes are spread in training."""
    return float(config.DELAY_WIDTH * config.DELAY_WIDTH_DECAY**epoch)


@dataclass
class Plateau:
    """What schedule=plateau has seen: after more than ``patience`` epochs without better, a cut."""

    factor: float = 1.0
    best: float = -math.inf  # more is better
    bad: int = 0  # epochs in a row that were not better
    resting: int = 0  # epochs of the cooldown that are left

    def end_epoch(self, options: Any, value: float) -> None:
        """Take what an epoch has reached into account."""
        self.bad += 1
        if value > self.best + options.threshold:
            self.best, self.bad = value, 0
        if self.resting:
            self.resting, self.bad = self.resting - 1, 0
        if self.bad > options.patience:
            self.factor = max(self.factor * options.factor, min(self.factor, options.minimum))
            self.resting, self.bad = options.cooldown, 0


@dataclass
class Rates:
    """Learning rates from ETA, and the state that they depend on.

    In epoch e the rate is ETA x ETA_DECAY^e x ETA_FAC^(reductions), times the ease-in factor
    min(1, 0.001 x LR_EASE_IN_FACTOR^k) of the k-th training batch of the run, times the factor of
    the schedule (snnrun/optimisers/schedules.py).

    After each epoch two moving averages of a score (EMA_WHICH) are updated,
    a <- alpha a + (1 - alpha) score, with EMA_ALPHA1 (fast) and EMA_ALPHA2 (slow), both from 0.
    When the fast one is no longer above the slow one, and more than MIN_EPOCH_ETA_FIXED epochs have
    passed since the last change, the rate is multiplied by ETA_FAC. The test set never enters.
    Rules with a schedule of their own follow that instead.
    Source: Nowotny, Turner & Knight 2025, arXiv 2212.01232.
    """

    reductions: int = 0
    fast: float = 0.0
    slow: float = 0.0
    changed: int = 0  # epoch of the last reduction
    plateau: Plateau = field(default_factory=Plateau)

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Rates:
        """Return them as ``state`` has kept them."""
        return cls(**{**kept, "plateau": Plateau(**kept.get("plateau", {}))})

    def rates(
        self,
        config: Config,
        learning: Learning,
        epoch: int,
        first_batch: int,
        count: int,
        batches: int,
    ) -> np.ndarray:
        """Return the rates of ``count`` batches of an epoch, which has ``batches`` of them.

        The first one is number ``first_batch`` of the run.
        """
        own = [learning.rate(first_batch + k, config.TRIAL_MS) for k in range(count)]
        if None not in own:
            return np.array(own, float)
        full = config.ETA * config.ETA_DECAY**epoch * config.ETA_FAC**self.reductions
        rates = np.full(count, full)
        if config.LR_EASE_IN_FACTOR != 1.0:
            growth = np.log(config.LR_EASE_IN_FACTOR)
            exponent = np.log(EASE_IN_START) + growth * (first_batch + np.arange(count))
            rates = full * np.exp(np.minimum(0.0, exponent))
        return rates * self.factors(config, epoch, first_batch, count, batches)

    def of_tensors(
        self,
        config: Config,
        program: Program,
        epoch: int,
        first_batch: int,
        rates: np.ndarray,
        batches: int,
    ) -> np.ndarray:
        """Return the rates that ``Backend.train`` is given, where those of ETA are ``rates``.

        They are [batches, tensors], or ``rates`` where the rule has rates of its own. Delays
        follow the schedule, and otherwise their own keys.
        """
        if not program.engine.has_gradient:
            return rates
        given, course = config.optimiser.rates, rates / config.ETA
        factors = self.factors(config, epoch, first_batch, len(rates), batches)
        delayed = config.ETA_DELAY_DECAY**epoch * factors
        found = np.empty((len(rates), len(program.tensors)))
        for number, tensor in enumerate(program.tensors):
            own = [given[name] for name in _names(tensor, program) if name in given]
            if tensor.kind == DELAYS:
                found[:, number] = (own or [config.ETA_DELAY])[0] * delayed
            else:
                found[:, number] = own[0] * course if own else rates
        return found

    def at_update(
        self, config: Config, program: Program, epoch: int, update: int, batches: int
    ) -> tuple[float, np.ndarray]:
        """Return the rate of ETA in an update of the run, and those of all tensors [tensors]."""
        rates = self.rates(config, program.learning, epoch, update, 1, batches)
        found = self.of_tensors(config, program, epoch, update, rates, batches)
        return float(rates[0]), np.broadcast_to(found[0], len(program.tensors))

    def factors(
        self, config: Config, epoch: int, first_batch: int, count: int, batches: int
    ) -> np.ndarray:
        """Return the schedule's factors on the rates of these batches.

        Raises:
            ConfigError: A user's own schedule gives one that is no factor.
        """
        options = config.schedule
        schedule = find_schedule(options.name)
        epochs = options.get("epochs") or config.N_EPOCH
        found = np.empty(count)
        for k in range(count):
            update = first_batch + k
            at = Moment(update=update, epoch=epoch, updates_per_epoch=batches, epochs=epochs)
            factor = 1.0 if schedule.factor is None else schedule.factor(at, options)
            if not (isinstance(factor, int | float | np.number) and 0 <= factor < math.inf):
                raise ConfigError(
                    f"schedule.name={options.name}: its factor of update {update}, in epoch "
                    f"{epoch}, is {factor!r}; it must be a number, 0 or more"
                )
            found[k] = factor * (1.0 if schedule.own_start else warmup(at, options))
        return found * self.plateau.factor

    def end_epoch(self, config: Config, epoch: int, row: Mapping[str, float], task: Task) -> None:
        """Take the figures of a finished epoch into account."""
        if config.schedule.name == "plateau":
            split = SPLITS[config.schedule.which]
            loss = config.schedule.metric == "loss"
            value = -row[f"{split}_loss"] if loss else row[task.column(split)]
            if np.isfinite(value):
                self.plateau.end_epoch(config.schedule, value)
        score = row[task.column(SPLITS[config.EMA_WHICH])]
        if not np.isfinite(score):
            return
        self.fast = config.EMA_ALPHA1 * self.fast + (1 - config.EMA_ALPHA1) * score
        self.slow = config.EMA_ALPHA2 * self.slow + (1 - config.EMA_ALPHA2) * score
        waited = epoch - self.changed
        if waited > config.MIN_EPOCH_ETA_FIXED and self.fast <= self.slow:
            self.reductions += 1
            self.changed = epoch

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must keep."""
        return asdict(self)
