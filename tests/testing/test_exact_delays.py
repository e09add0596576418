"""Graphs with delays and ports: the exact simulation against an adjoint written by hand."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import Array, by_hand, everything, gradients_by_hand
from long import long_but

from snnrun.models.losses import FIRST_SPIKE_EXP, SUM
from snnrun.testing.differences import Differences, finite_differences
from snnrun.testing.exact import Problem

CASES = {  # those in which no two events are so close that differences swap them
    "sum": (SUM, 9, 0.0),
    "sum, refractory": (SUM, 2, 1.5),
    "first_spike_exp": (FIRST_SPIKE_EXP, 3, 0.0),
    "first_spike_exp, refractory": (FIRST_SPIKE_EXP, 8, 1.5),
}


def of_fourth_order(problem: Problem, names: list[str]) -> tuple[Differences, dict[str, Array]]:
    """Return differences, and more exact ones by steps that each move the loss by about 2e-5."""
    first = finite_differences(problem, names)
    sizes = {name: np.linalg.norm(first.gradients[name]) * first.scales[name] for name in names}
    steps = {name: float(min(4e-3, 2e-5 / size)) for name, size in sizes.items()}
    near, far = (
        finite_differences(problem, names, {name: k * h for name, h in steps.items()}).gradients
        for k in (1, 2)
    )
    return first, {name: (4 * near[name] - far[name]) / 3 for name in names}


@pytest.mark.parametrize("name", long_but(CASES, ["sum, refractory"]))
def test_finite_differences_agree_with_the_exact_adjoint_to_nine_digits(name: str) -> None:
    problem = everything(*CASES[name])
    trial = by_hand(problem)
    expected = {key: v for key, v in gradients_by_hand(problem, trial).items() if v.any()}
    first, found = of_fourth_order(problem, list(expected))
    assert first.loss == pytest.approx(trial.loss, rel=1e-13)
    assert sum(count.sum() for count in first.counts) == len(trial.spikes) >= 10
    for key, gradient in expected.items():
        error = np.linalg.norm(found[key] - gradient) / np.linalg.norm(gradient)
        assert error <= 1e-9, (key, error)
