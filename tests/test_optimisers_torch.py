"""Optimisers and schedules against PyTorch's, step by step.

pip install 'snnrun[peers]' brings PyTorch; without it these tests are skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_optimisers import program_with, some_gradients, steps_of
from test_schedules import EPOCHS, ETA, PER_EPOCH, cuts, rates

from snnrun.backends.base import NO_NOISE
from snnrun.compile.program import WEIGHTS
from tests import graph_cases as graphs
from tests.parity import native

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


@pytest.mark.parametrize(
    ("options", "make"),
    [
        ({}, lambda p: torch.optim.Adam(p, lr=0.05)),
        ({"name": "adamw"}, lambda p: torch.optim.AdamW(p, lr=0.05)),
        (
            {"name": "adamw", "weight_decay": 0.5},
            lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.5),
        ),
        ({"name": "sgd", "momentum": 0.0}, lambda p: torch.optim.SGD(p, lr=0.05)),
        ({"name": "sgd"}, lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9)),
        (
            {"name": "sgd", "nesterov": True, "weight_decay": 0.1},
            lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.1),
        ),
        ({"name": "rmsprop"}, lambda p: torch.optim.RMSprop(p, lr=0.05)),
        (
            {"name": "rmsprop", "centred": True, "momentum": 0.3, "weight_decay": 0.1},
            lambda p: torch.optim.RMSprop(
                p, lr=0.05, centered=True, momentum=0.3, weight_decay=0.1
            ),
        ),
    ],
    ids=lambda value: "-".join(map(str, value.values())) or "adam" if type(value) is dict else "",
)
@pytest.mark.parametrize("clip", [{}, {"clip_norm": 0.5}, {"clip_value": 0.1}])
def test_an_optimiser_is_pytorchs(
    options: dict[str, Any], make: Callable[[Any], Any], clip: dict[str, float]
) -> None:
    w, gradients = some_gradients()
    parameter = torch.nn.Parameter(torch.tensor(w.copy()))
    optimiser = make([parameter])
    ours = steps_of(options | clip, w, gradients)
    for found, g in zip(ours, gradients, strict=True):
        parameter.grad = torch.tensor(g.copy())
        if "clip_norm" in clip:
            torch.nn.utils.clip_grad_norm_([parameter], clip["clip_norm"])
        if "clip_value" in clip:
            torch.nn.utils.clip_grad_value_([parameter], clip["clip_value"])
        optimiser.step()
        np.testing.assert_allclose(found, parameter.detach().numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("options", [{"name": "adamw", "clip_norm": 0.05}, {"name": "sgd"}])
def test_a_trained_network_is_the_one_that_pytorch_makes_of_its_gradients(
    options: dict[str, Any],
) -> None:
    program = program_with(options)
    ours, gradients = native(program), native(program)
    graphs.start(ours)
    graphs.start(gradients)
    trained = [tensor for tensor in program.tensors if tensor.trained]
    leaves = {t.name: torch.nn.Parameter(torch.tensor(ours.get(t.name))) for t in trained}
    weights = [leaves[t.name] for t in trained if t.kind == WEIGHTS]
    others = [{"params": leaves[t.name], "weight_decay": 0.0} for t in trained if t.kind != WEIGHTS]
    if options["name"] == "sgd":
        optimiser = torch.optim.SGD([{"params": weights}, *others], lr=0.01, momentum=0.9)
    else:
        optimiser = torch.optim.AdamW([{"params": weights}, *others], lr=0.01)
    data, batch = graphs.data(examples=8), np.arange(2)
    for update in range(4):
        gradients.gradient(data, batch + 2 * update)
        for name, leaf in leaves.items():
            leaf.grad = torch.tensor(gradients.get(name, "gradient"))
        if "clip_norm" in options:
            torch.nn.utils.clip_grad_norm_(list(leaves.values()), options["clip_norm"])
        optimiser.step()
        ours.train(data, batch + 2 * update, 2, np.full(1, 0.01), update, NO_NOISE)
        for tensor in trained:
            found, leaf = ours.get(tensor.name), leaves[tensor.name]
            with torch.no_grad():  # learning keeps values within their bounds
                leaf.clamp_(*(float(bound) for bound in tensor.bounds))
            wanted = leaf.detach().numpy()
            scale = np.abs(wanted).max()
            np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12 * scale)
            gradients.set(tensor.name, found)
