"""The exact simulation that is made from declarations, against the one that is written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import oracle
import pytest
from oracle import problem
from parity import network_of

from snnrun.errors import ModelError
from snnrun.models.declare import Neuron, Parameter
from snnrun.models.losses import LOSSES, MAX, SUM
from snnrun.models.neurons import LI, LIF, MEMBRANE
from snnrun.testing.differences import Differences, finite_differences
from snnrun.testing.equations import Equations
from snnrun.testing.exact import History, Problem, find_root, simulate
from snnrun.testing.exact_loss import exact_loss
from snnrun.testing.networks import make_setup, neuron_parts

CASES = {
    "lif, sum, recurrent": problem(recurrent=True, seed=2),
    "lif, sum_weigh_sigmoid": problem(loss="sum_weigh_sigmoid", seed=4),
    "lif_subtract, max, recurrent": problem("lif_subtract", "max", recurrent=True, seed=8),
    "alif, first_spike": problem("alif", "first_spike", seed=10),
    "lif, relative_mse": problem(loss="relative_mse", seed=6),
    "lif, sum_weigh_input, recurrent": problem(loss="sum_weigh_input", recurrent=True, seed=4),
    "refractory lif, max, two layers": problem(loss="max", hidden_layers=2, t_ref=2.0, seed=13),
    "refractory alif, avg_xentropy": problem("alif", "avg_xentropy", t_ref=1.0, seed=13),
    "lif, tau_mem = tau_syn, sum_weigh_exp": problem(
        loss="sum_weigh_exp", parameters={"tau_syn": 20.0}, spread=0.0, seed=5
    ),
}


def parameter(name: str, default: float, unit: str = "1") -> Parameter:
    return Parameter(name=name, default=default, unit=unit, meaning=name)


def of_oracle(case: oracle.Problem) -> Problem:
    loss, (times, channels) = case.loss, zip(*case.examples[0], strict=True)
    tau_mem = float(case.layers[-1].parameters["tau_mem"][0])
    return Problem(
        network=network_of(case, train=()),
        weights=case.weights,
        loss=LOSSES[loss.name],
        loss_values={**loss.values, "TAU_MEM": tau_mem},
        times=np.array(times),
        channels=np.array(channels),
        label=case.labels[0],
        duration=case.duration,
    )


@pytest.mark.parametrize("name", CASES)
def test_loss_and_gradient_agree_with_the_oracle_written_by_hand(name: str) -> None:
    case = CASES[name]
    expected = oracle.finite_differences(case)
    found: Differences = finite_differences(of_oracle(case), list(expected.gradients))
    assert abs(found.loss - expected.loss) < 1e-12
    assert all((a == b).all() for a, b in zip(found.counts, expected.counts, strict=True))
    assert sum(count.sum() for count in found.counts[:-1]) >= 8
    for key, gradient in expected.gradients.items():
        assert (np.isnan(found.gradients[key]) == np.isnan(gradient)).all()
        # rounding of the loss, over a width of 1e-5 times a value, of which some are 0.05
        assert np.nanmax(np.abs(found.gradients[key] - gradient), initial=0) < 1e-7, key


COUPLED = Neuron(
    name="coupled",
    equations="""
        dV/dt = (drive + I - V - W) / 10
        dI/dt = -I / 5
        dW/dt = (2 * V - W) / 8
    """,
    threshold="V >= v_thresh + max(0.1 * W, 0)",
    reset="V = 0.2 * V\nW = W + 0.1",
    initial={"W": "0.5 * drive"},
    parameters=(parameter("v_thresh", 1.0), parameter("drive", 0.4)),
)


def small_steps(weight: float, times: np.ndarray, duration: float, dt: float) -> list[float]:
    """Spike times of one COUPLED neuron by Runge-Kutta steps of fourth order."""

    def rate(x: np.ndarray) -> np.ndarray:
        V, I, W = x  # noqa: E741
        return np.array([(0.4 + I - V - W) / 10, -I / 5, (2 * V - W) / 8])

    x, spikes = np.array([0.0, 0.0, 0.2]), []
    arrivals = np.round(times / dt).astype(int)
    for n in range(round(duration / dt)):
        x[1] += weight * (arrivals == n).sum()
        a = rate(x)
        b = rate(x + dt / 2 * a)
        c = rate(x + dt / 2 * b)
        x = x + dt / 6 * (a + 2 * b + 2 * c + rate(x + dt * c))
        if x[0] >= 1 + max(0.1 * x[2], 0):
            x[0], x[2] = 0.2 * x[0], x[2] + 0.1
            spikes.append((n + 1) * dt)
    return spikes


def one_neuron(neuron: Neuron, weight: float, times: list[float]) -> History:
    """Simulate the first of four neurons of a layer that an input channel drives."""
    setup = make_setup(neuron_parts(neuron, {}, 0.1), SUM, {}, 20.0, 0.1, seed=0)
    task = replace(setup.problem, times=np.array(times), channels=np.zeros(len(times), int))
    copies = {name: np.zeros((1, *w.shape[1:])) for name, w in setup.candidates.items()}
    copies["in_to_hid"][0, 0, 0] = weight
    for layer in task.network.layers:
        assert layer.population.neuron is not None
        for p in layer.population.neuron.parameters:
            size = layer.population.size
            copies[f"{layer.population.name}.{p.name}"] = np.full((1, size), p.default)
    return simulate(task, copies)


def test_coupled_states_and_a_threshold_with_max_agree_with_small_steps() -> None:
    times = [1.0, 4.0, 4.5, 9.0]
    history = one_neuron(COUPLED, 4.0, times)
    found = [p.t[0] + p.length[0] for p in history.pieces if p.spiker[0] == 0]
    expected = small_steps(4.0, np.array(times), 20.0, 2e-3)
    assert len(found) == len(expected) >= 4
    np.testing.assert_allclose(found, expected, rtol=0, atol=1.5e-2)  # each is a step late


def test_silent_outputs_count_as_late_or_are_left_out() -> None:
    case = CASES["alif, first_spike"]
    weights = dict(case.weights) | {"hid_to_out": case.weights["hid_to_out"].copy()}
    other = (case.labels[0] + 1) % 3
    weights["hid_to_out"][:, other] = 0.0
    task = of_oracle(replace(case, weights=weights))
    history = simulate(task, {})
    t = history.first_spikes[0]
    assert np.isinf(t[other])

    def expected(times: np.ndarray) -> float:
        label = t[case.labels[0]]
        late = task.loss_values["ALPHA"] * np.expm1(label / task.loss_values["TAU_1"])
        return float(label + np.log(np.exp(-times).sum()) + late)

    for name, times in (
        ("first_spike_exp", np.where(np.isinf(t), 25.0, t)),
        ("first_spike_wp", t[np.isfinite(t)]),
    ):
        loss = exact_loss(history, LOSSES[name], task.loss_values, case.labels[0])
        assert loss[0] == pytest.approx(expected(times), rel=1e-13), name


def test_a_neuron_that_never_leaves_its_threshold_is_refused() -> None:
    stuck = Neuron(
        name="stuck",
        equations=MEMBRANE,
        threshold="V >= v_thresh",
        parameters=tuple(p for p in LIF.parameters if p.name in ("tau_mem", "tau_syn", "v_thresh")),
    )
    with pytest.raises(ModelError, match="stuck: the reset leaves the state on or above"):
        one_neuron(stuck, 20.0, [1.0])


def test_the_path_of_nonlinear_equations_is_their_solution() -> None:
    neuron = Neuron(
        name="quadratic",
        equations="dV/dt = a * V * V\ndI/dt = -tanh(I) - exp(-I) * tanh(I)",
        parameters=(Parameter(name="a", default=1.0, unit="1", meaning="of V"),),
    )
    flow = Equations(neuron).flow({"a": np.full((1, 1), 2.0)})
    path = flow.path(np.array([[[0.5, 1.0]]]))
    s = flow.longest(path)
    assert 0.05 < s < 1.0
    V, end = path.at(np.full((1, 1), s))[0, 0]
    assert pytest.approx(0.5 / (1 - s), rel=1e-15) == V
    nodes, weights = np.polynomial.legendre.leggauss(40)  # the time from 1 to the end, over dI/dt
    between = end + (1 - end) * (0.5 + 0.5 * nodes)
    rate = np.tanh(between) * (1 + np.exp(-between))
    assert (1 - end) / 2 * (weights / rate).sum() == pytest.approx(s, rel=1e-14)


def test_the_flow_is_the_matrix_exponential() -> None:
    values: Mapping[str, np.ndarray] = {
        "tau_mem": np.full((1, 1), 20.0),
        "tau_syn": np.full((1, 1), 5.0),
    }
    path = Equations(LI).flow(values).path(np.array([[[0.0, 1.0]]]))
    x = path.at(np.array([[3.0]]))[0, 0]
    expected = (np.exp(-3 / 20) - np.exp(-3 / 5)) / 3  # tau_syn / (tau_mem - tau_syn) = 1/3
    np.testing.assert_allclose(x, [expected, np.exp(-3 / 5)], rtol=1e-14)


def test_roots_are_found_where_newtons_method_alone_would_leave() -> None:
    shift = np.array([0.1, 0.5, 2.9])

    def steep(s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.cbrt(s - shift), np.cbrt(s - shift + 1e-300) ** -2 / 3

    np.testing.assert_allclose(find_root(steep, np.zeros(3), np.full(3, 3.0)), shift, rtol=1e-12)


def test_the_maximum_lies_between_and_at_the_ends_of_pieces() -> None:
    case = CASES["refractory lif, max, two layers"]
    task = of_oracle(case)
    history = simulate(task, {})
    loss = exact_loss(history, MAX, {}, task.label)[0]
    V = np.concatenate(
        [
            np.polynomial.polynomial.polyval(np.linspace(0, p.length[0], 400), p.readout[:, 0])
            for p in history.pieces
        ],
        axis=1,
    ).max(1)
    assert loss == pytest.approx(np.log(np.exp(V - V[task.label]).sum()), abs=1e-6)
