"""The learning rate of each mini-batch: decay, ease-in, and the schedule by moving averages."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from snnrun.config import Config
from snnrun.rules.learning import Learning

EASE_IN_START = 1e-3  # of the full rate


def delay_rate(config: Config, epoch: int) -> float:
    """Return the learning rate of delays in an epoch (ms per update)."""
    return float(config.ETA_DELAY * config.ETA_DELAY_DECAY**epoch)


def delay_width(config: Config, epoch: int) -> float:
    """Return over how many steps to each side delayed spikes are spread in training."""
    return float(config.DELAY_WIDTH * config.DELAY_WIDTH_DECAY**epoch)


@dataclass
class Schedule:
    """Learning rates from ETA, and the state that they depend on.

    In epoch e the rate is ETA x ETA_DECAY^e x ETA_FAC^(reductions), times the ease-in factor
    min(1, 0.001 x LR_EASE_IN_FACTOR^k) of the k-th training batch of the run.

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

    def rates(
        self, config: Config, learning: Learning, epoch: int, first_batch: int, count: int
    ) -> np.ndarray:
        """Return the rates of ``count`` batches from batch ``first_batch`` of the run on."""
        own = [learning.rate(first_batch + k, config.TRIAL_MS) for k in range(count)]
        if None not in own:
            return np.array(own, float)
        full = config.ETA * config.ETA_DECAY**epoch * config.ETA_FAC**self.reductions
        if config.LR_EASE_IN_FACTOR == 1.0:
            return np.full(count, full)
        growth = np.log(config.LR_EASE_IN_FACTOR)
        exponent = np.log(EASE_IN_START) + growth * (first_batch + np.arange(count))
        return full * np.exp(np.minimum(0.0, exponent))

    def end_epoch(self, config: Config, epoch: int, score: float) -> None:
        """Take the score of a finished epoch into account."""
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
