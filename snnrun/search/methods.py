"""Optuna's samplers and pruners as the keys of a search choose them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from snnrun.search.optuna import optuna
from snnrun.search.settings import Settings


def sampler_of(settings: Settings) -> Callable[[int], Any]:
    """Return what makes a sampler of a seed."""
    samplers = optuna().samplers
    if settings.sampler == "tpe":
        startup = settings.startup_trials
        return lambda seed: samplers.TPESampler(seed=seed, n_startup_trials=startup)
    if settings.sampler == "cmaes":
        optuna("sweep.sampler=cmaes", also="cmaes")
        return lambda seed: samplers.CmaEsSampler(seed=seed)
    # those of a grid are known, and the sampler is not asked
    return lambda seed: samplers.RandomSampler(seed=seed)


def pruner_of(settings: Settings, steps: int) -> Any:
    """Return what ends trials early, or None.

    Args:
        settings: Of the search.
        steps: Epochs of a whole trial, of all its runs together.
    """
    pruners, least = optuna().pruners, settings.min_epochs
    if settings.pruner == "median":
        return pruners.MedianPruner(n_startup_trials=settings.startup_trials, n_warmup_steps=least)
    if settings.pruner == "halving":
        return pruners.SuccessiveHalvingPruner(min_resource=least)
    if settings.pruner == "hyperband":
        return pruners.HyperbandPruner(min_resource=least, max_resource=steps)
    return None
