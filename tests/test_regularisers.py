"""Regularisers push at the spikes of hidden neurons, on every backend, as the reference does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from long import long_but
from oracle import Problem, problem
from parity import (
    LARGE,
    TAUS,
    data_of,
    genn,
    gradients_of,
    load_parameters,
    load_weights,
    native,
    program_of,
)
from runs import small
from test_parity import assert_close

from snnrun.backends.base import Backend
from snnrun.compile.program import Program
from snnrun.datasets.spikes import SpikeData
from snnrun.errors import ConfigError
from snnrun.models.losses import LOSSES
from snnrun.models.regularisers import REGULARISERS
from snnrun.record import load_run
from snnrun.run import train

DT, EXAMPLES = 0.1, 3
STRENGTHS = {
    "LBD_UPPER": 2e-3,
    "LBD_LOWER": 5e-3,
    "NU_UPPER": 4.5,
    "RHO_UPPER": 15.0,
    "GLB_UPPER": 4e-2,
    "TAU_MEM": 11.0,
}
# What the losses of the reference are too weak by: TAU_MEM, or the 24 ms of a trial
COMPARED = (
    "sum_weigh_exp",
    "sum_weigh_input",
    "avg_xentropy",
    "max",
    "first_spike_exp",
    "relative_mse",
)


def balance_of(loss: str) -> float:
    if LOSSES[loss].spiking:
        return 1.0
    return 24.0 if loss == "max" else STRENGTHS["TAU_MEM"]


def push_of(name: str, loss: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the push as the documentation of the reference tells it, times TAU_MEM and balance."""
    s = STRENGTHS

    def push(counts: np.ndarray) -> np.ndarray:
        above = counts - s["NU_UPPER"]
        found = np.where(above > 0, s["LBD_UPPER"], s["LBD_LOWER"]) * above
        if name == "Thomas1" and counts.sum() > s["RHO_UPPER"]:
            found = found + s["GLB_UPPER"] * (counts.sum() - s["RHO_UPPER"]) / len(counts)
        return s["TAU_MEM"] * balance_of(loss) * found

    return push


def given(loss: str) -> Problem:
    return problem(
        "alif", loss, recurrent=True, hidden_layers=2, t_ref=1.0, seed=4, examples=EXAMPLES
    )


def make_native(program: Program, data: Sequence[SpikeData]) -> Backend:
    return native(program)


@pytest.mark.parametrize("make", [make_native, pytest.param(genn, marks=pytest.mark.genn)])
@pytest.mark.parametrize(
    ("loss", "averaged"),
    long_but(
        [*((loss, False) for loss in COMPARED), ("sum_weigh_exp", True)], [("sum_weigh_exp", True)]
    ),
)
@pytest.mark.parametrize("name", REGULARISERS)
def test_the_push_is_that_of_the_reference(
    name: str, loss: str, averaged: bool, make: Callable[[Program, Sequence[SpikeData]], Backend]
) -> None:
    case, data = given(loss), data_of(given(loss), DT)
    assert case.duration == 24.0
    program = program_of(
        case,
        DT,
        train=TAUS,
        regulariser=REGULARISERS[name],
        strengths=STRENGTHS,
        average_spikes=averaged,
    )
    backend = make(program, [data])
    load_weights(backend, case.weights)
    load_parameters(backend, case)
    maps, push = reference.step_maps(case, DT), push_of(name, loss)

    def results(of: Callable[[np.ndarray], np.ndarray] | None) -> list[reference.Result]:
        return [reference.gradient(case, DT, e, maps, of) for e in range(EXAMPLES)]

    plain = results(None)
    counts = np.array([result.counts[0] for result in plain])
    assert counts.min() < STRENGTHS["NU_UPPER"] < counts.max()
    assert counts.sum(1).max() > STRENGTHS["RHO_UPPER"]

    def of_the_mean(own: np.ndarray) -> np.ndarray:
        (layer,) = {i for r in plain for i, n in enumerate(r.counts) if np.array_equal(n, own)}
        return push(np.mean([result.counts[layer] for result in plain], axis=0))

    wanted, other = (results(of_the_mean), results(push)) if averaged else (results(push), plain)
    backend.gradient(data, np.arange(EXAMPLES))
    found = gradients_of(backend)
    assert_close(found, reference.mean_gradients(wanted))
    without = reference.mean_gradients(other)["in_to_hid0"]
    assert np.linalg.norm(found["in_to_hid0"] - without) > 1e-4 * np.linalg.norm(without)


@pytest.mark.parametrize(
    "backend",
    [
        *long_but(["native", "native, large"], ["native"]),
        pytest.param("genn", marks=pytest.mark.genn),
    ],
)
def test_averaged_counts_train_alike_for_any_number_of_threads(
    backend: str, tmp_path: Path
) -> None:
    keys: dict[str, Any] = {
        "REG_TYPE": "simple",
        "NU_UPPER": 3,
        "LBD_UPPER": 1e-3,
        "LBD_LOWER": 1e-3,
    }
    found = {}
    native: dict[str, Any] = {"name": "native"}
    if backend == "native, large":  # a batch is then several waves of trials
        keys |= {"RECURRENT": True, "NUM_HIDDEN": 200}
        native["flags"] = list(LARGE)
    other = {"name": "genn"} if backend == "genn" else {**native, "threads": 3}
    for name, more in {
        "one": {"backend": {**native, "threads": 1}, "AVG_SNSUM": True},
        "other": {"backend": other, "AVG_SNSUM": True},
        "each": {"backend": native},
    }.items():
        train(small(LOSS_TYPE="sum", N_EPOCH=2, **keys, **more), tmp_path / name)
        found[name] = load_run(tmp_path / name).epochs["train_loss"]
    if backend != "genn":
        assert np.array_equal(found["one"], found["other"])
    np.testing.assert_allclose(found["one"], found["other"], rtol=1e-3)
    assert not np.array_equal(found["one"], found["each"])


@pytest.mark.genn
def test_pipelined_averages_need_the_whole_mini_batch_at_once(tmp_path: Path) -> None:
    config = small(REG_TYPE="simple", AVG_SNSUM=True, PIPELINE=True, backend={"name": "genn"})
    with pytest.raises(ConfigError, match=r"PIPELINE=true: averaging .* use PIPELINE=false"):
        train(config, tmp_path / "run")


@pytest.mark.parametrize("target", [pytest.param(0.5, marks=pytest.mark.long), 6.0])
def test_activity_moves_towards_the_target(target: float, tmp_path: Path) -> None:
    def spikes(name: str, **keys: object) -> np.ndarray:
        config = small(LOSS_TYPE="sum", N_EPOCH=6, N_TRAIN=400, INPUT_HIDDEN_MEAN=2.5, **keys)
        train(config, tmp_path / name)
        return load_run(tmp_path / name).epochs["spikes_per_neuron/hidden"]

    free = spikes("free")
    drawn = spikes("drawn", REG_TYPE="simple", NU_UPPER=target, LBD_UPPER=1e-3, LBD_LOWER=1e-3)
    assert abs(drawn[-1] - target) < abs(free[-1] - target)
    assert abs(drawn[-1] - target) < abs(drawn[0] - target)


@pytest.mark.long
def test_the_layers_total_is_drawn_below_its_bound(tmp_path: Path) -> None:
    found = {}
    for name in ("simple", "Thomas1"):
        layer = {"RHO_UPPER": 10.0, "GLB_UPPER": 1e-3} if name == "Thomas1" else {}
        config = small(
            LOSS_TYPE="sum",
            REG_TYPE=name,
            NU_UPPER=4,
            LBD_UPPER=1e-9,
            LBD_LOWER=0.0,
            N_EPOCH=6,
            N_TRAIN=400,
            **layer,
        )
        train(config, tmp_path / name)
        found[name] = load_run(tmp_path / name).epochs["spikes_per_neuron/hidden"][-1]
    assert found["Thomas1"] < 0.8 * found["simple"]
