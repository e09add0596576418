"""Schedules against PyTorch's, step by step. pip install 'snnrun[peers]' brings PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_schedules import EPOCHS, ETA, PER_EPOCH, cuts, rates

torch: Any = pytest.importorskip(
    "torch", reason="PyTorch is not installed: optimisers and schedules were NOT compared with its"
)
pytestmark = pytest.mark.peers
UPDATES = EPOCHS * PER_EPOCH


def theirs(make: Callable[[Any], Any], steps: int = UPDATES) -> np.ndarray:
    """Return the rates of so many steps of PyTorch's scheduler that ``make`` returns."""
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=ETA)
    schedule, found = make(optimiser), []
    for _ in range(steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return np.array(found)


@pytest.mark.parametrize(
    ("ours", "make"),
    [
        (
            rates("constant", _warmup=2, _start=0.25),
            lambda o: torch.optim.lr_scheduler.LinearLR(o, 0.25, 1.0, 2 * PER_EPOCH),
        ),
        (
            rates("cosine", _end=0.05),
            lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, UPDATES, 0.05 * ETA),
        ),
        (
            rates("cosine", _per="epoch")[::PER_EPOCH],
            lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, EPOCHS),
        ),
        (rates("one_cycle"), lambda o: torch.optim.lr_scheduler.OneCycleLR(o, ETA, UPDATES)),
        (
            rates("one_cycle", _rise=0.4, _start=0.1, _end=0.01),
            lambda o: torch.optim.lr_scheduler.OneCycleLR(
                o, ETA, UPDATES, pct_start=0.4, div_factor=10, final_div_factor=10
            ),
        ),
    ],
    ids=["warm-up", "cosine", "cosine by epoch", "one_cycle", "one_cycle with options"],
)
def test_a_schedule_is_pytorchs(ours: np.ndarray, make: Callable[[Any], Any]) -> None:
    np.testing.assert_allclose(ours, theirs(make, len(ours)), rtol=1e-12)


@pytest.mark.parametrize("metric", ["score", "loss"])
@pytest.mark.parametrize(
    "options",
    [
        {"patience": 2, "factor": 0.3},
        {"patience": 1, "threshold": 0.02, "cooldown": 2, "factor": 0.5, "minimum": 0.2},
    ],
)
def test_a_plateau_is_pytorchs(metric: str, options: dict[str, Any]) -> None:
    draws = np.random.default_rng(3)
    values = (np.minimum(np.arange(60) / 20, 1) + draws.normal(0, 0.1, 60)).tolist()
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser,
        mode="min" if metric == "loss" else "max",
        factor=options["factor"],
        patience=options["patience"],
        threshold=options.get("threshold", 0.0),
        threshold_mode="abs",
        cooldown=options.get("cooldown", 0),
        min_lr=options.get("minimum", 0.0),
        eps=0.0,
    )
    found = []
    for value in values:
        schedule.step(value)
        found.append(optimiser.param_groups[0]["lr"])
    ours = cuts(values, metric=metric, **options)
    assert len(set(ours)) > 3
    np.testing.assert_allclose(ours, found, rtol=1e-12)
