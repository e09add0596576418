"""The losses of lags and of the input's activity: every neuron, any number of classes, dropout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import reference
from long import long_but
from oracle import Problem, problem
from parity import (
    TAUS,
    data_of,
    genn,
    gradients_of,
    load_parameters,
    load_weights,
    native,
    program_of,
)
from test_parity import assert_close

from snnrun.backends.base import Backend, Noise
from snnrun.compile.loss import bind_loss
from snnrun.compile.program import Program
from snnrun.datasets.spikes import SpikeData
from snnrun.errors import ModelError
from snnrun.models.losses import LOSSES, RELATIVE_MSE, Loss
from snnrun.models.readouts import Readout
from snnrun.testing import BuildOptions, check_model
from snnrun.testing.declaration import loss_findings

DT, EXAMPLES = 0.1, 3
NEURONS = ("lif", "lif_subtract", "lif_rest", "alif")
NAMES = ("sum_weigh_input", "relative_mse")
# any two of them meet
CASES = [
    (neuron, classes, NAMES[(i + j) % 2])
    for (i, neuron), (j, classes) in product(enumerate(NEURONS), enumerate((2, 3, 35)))
]
SOME = [("lif", 2, "sum_weigh_input"), ("alif", 2, "relative_mse")]
Make = Callable[[Program, Sequence[SpikeData]], Backend]


def make_native(program: Program, data: Sequence[SpikeData]) -> Backend:
    return native(program)  # what is checked is what was derived


def make_genn(program: Program, data: Sequence[SpikeData]) -> Backend:
    return genn(program, data, traced=True)


BACKENDS = [
    pytest.param(make_native, id="native"),
    pytest.param(make_genn, id="genn", marks=pytest.mark.genn),
]


def given(loss: str, **more: Any) -> Problem:
    return problem(**{"loss": loss, "examples": EXAMPLES, "seed": 3, **more})


def loaded(case: Problem, make: Make) -> tuple[Backend, SpikeData]:
    data = data_of(case, DT)
    backend = make(program_of(case, DT, train=TAUS), [data])
    load_weights(backend, case.weights)
    load_parameters(backend, case)
    return backend, data


def assert_equal(case: Problem, make: Make) -> list[reference.Result]:
    backend, data = loaded(case, make)
    wanted = [reference.gradient(case, DT, e) for e in range(EXAMPLES)]
    found = backend.gradient(data, np.arange(EXAMPLES))
    np.testing.assert_allclose(found.loss, [r.loss for r in wanted], rtol=1e-12)
    np.testing.assert_array_equal(found.prediction, [r.prediction for r in wanted])
    assert_close(gradients_of(backend), reference.mean_gradients(wanted))
    return wanted


@pytest.mark.parametrize("make", BACKENDS)
@pytest.mark.parametrize(("neuron", "classes", "loss"), long_but(CASES, SOME))
def test_every_neuron_and_number_of_classes_is_that_of_the_reference(
    neuron: str, classes: int, loss: str, make: Make
) -> None:
    case = given(loss, model=neuron, sizes=(5, 7, classes), recurrent=neuron != "lif", t_ref=0.5)
    results = assert_equal(case, make)
    assert all(count.any() for result in results for count in result.counts[:-1])
    assert np.linalg.norm(results[0].gradients["in_to_hid"]) > 0


@pytest.mark.parametrize("make", BACKENDS)
@pytest.mark.parametrize("dropout", [0.3, 0.9])
def test_the_activity_is_that_of_the_input_which_dropout_leaves(dropout: float, make: Make) -> None:
    case = given("sum_weigh_input", recurrent=True)
    backend, data = loaded(case, make)
    for e in range(EXAMPLES):
        trial = backend.trial(data, e, Noise(dropout=dropout, key=12345))
        kept = zip(trial.input_steps * DT, trial.input_channels.tolist(), strict=True)
        left = replace(case, examples=(tuple(kept),), labels=(case.labels[e],))
        assert 0 < len(left.examples[0]) < len(case.examples[e])
        wanted = reference.gradient(left, DT)
        found = backend.gradient(data, np.array([e]), Noise(dropout=dropout, key=12345))
        assert found.loss[0] == pytest.approx(wanted.loss, rel=1e-12)
        assert trial.loss == pytest.approx(wanted.loss, rel=1e-12)
        assert_close(gradients_of(backend), wanted.gradients)
        assert reference.gradient(case, DT, e).loss != pytest.approx(wanted.loss, rel=1e-6)


@pytest.mark.parametrize("make", BACKENDS)
@pytest.mark.parametrize("silent", ["label", "other", "all"])
def test_silent_outputs_count_as_late_and_the_label_is_pushed(silent: str, make: Make) -> None:
    case = given("relative_mse", seed=5)
    label = case.labels[0]
    which = {"label": [label], "other": [(label + 1) % 3], "all": [0, 1, 2]}[silent]
    weights = dict(case.weights) | {"hid_to_out": case.weights["hid_to_out"].copy()}
    weights["hid_to_out"][:, which] *= 0.02
    case = replace(case, weights=weights)
    results = assert_equal(case, make)
    assert not results[0].counts[-1][which].any()
    assert results[0].counts[-1].any() == (silent != "all")
    if silent != "other":  # larger weights to the label's output lower the loss: it will spike
        backend, data = loaded(case, make)
        backend.gradient(data, np.array([0]))
        assert (gradients_of(backend)["hid_to_out"][:, label] <= 0).all()
        assert (gradients_of(backend)["hid_to_out"][:, label] < 0).any()


SOFTPLUS = Readout(name="softplus", meaning="late", integrand="log(1 + exp(4 * V)) / 4 * t / T")
OWN = Loss(name="own", readout=SOFTPLUS, meaning="cross entropy", source="this test")


@pytest.mark.parametrize("loss", [*(LOSSES[name] for name in NAMES), OWN], ids=lambda x: x.name)
@pytest.mark.genn
def test_gradients_of_genn_converge_to_finite_differences(loss: Loss) -> None:
    options = BuildOptions(backend="genn", device="single_threaded_cpu")
    assert check_model(loss, dts=(0.02, 0.004), options=options).passed


def test_the_accumulator_takes_a_step_of_its_time_constant_as_the_integrator_does() -> None:
    case = given("sum_weigh_input")
    exact, euler = (bind_loss(program_of(case, DT, integrator=name)) for name in ("exact", "euler"))
    assert exact.accumulator_decay == pytest.approx(np.exp(-DT / 7.0), rel=1e-15)
    assert euler.accumulator_decay == pytest.approx(1 - DT / 7.0, rel=1e-15)
    assert exact.accumulator_weight == 0.01


def test_the_loss_is_half_the_squares_of_the_lags_less_delta_t() -> None:
    bound = bind_loss(program_of(given("relative_mse"), DT))
    found = bound.values(np.array([[4.0, 9.0, 5.0], [3.0, 3.0, 3.0]]), np.array([0, 2]))
    assert list(found) == [((5 - 2) ** 2 + (1 - 2) ** 2) / 2, 2.0**2]


def test_what_a_readout_cannot_do_is_refused_or_told() -> None:
    with pytest.raises(ModelError, match=r"loss mine: silent_excluded=True with Readout\.FIRST_SP"):
        replace(RELATIVE_MSE, name="mine", silent_excluded=True)
    with pytest.raises(ModelError, match="loss mine, lag_cost: unknown name 'y'"):
        replace(RELATIVE_MSE, name="mine", lag_cost="y**2")
    loss = Loss(name="mine", readout=Readout.FIRST_SPIKE, lag_cost="d**2", meaning="m", source="s")
    assert "lag_cost has no effect" in str(loss_findings(loss))
    loss = Loss(name="mine", readout=Readout.MAXIMUM, weight="t / T", meaning="m", source="s")
    assert "weight has no effect: it belongs to Readout.WEIGHTED_SUM" in str(loss_findings(loss))
