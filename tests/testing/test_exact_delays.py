"""Graphs with delays and ports: the exact simulation against an adjoint written by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from graphs import Array, by_hand, everything, gradients_by_hand, population
from long import long_but

from snnrun.models.losses import FIRST_SPIKE_EXP, SUM
from snnrun.models.neurons import LI, LIF
from snnrun.network.delays import DelayKind, Delays
from snnrun.network.network import Layer, Network, Population, Projection
from snnrun.testing.differences import Differences, finite_differences
from snnrun.testing.exact import Problem, simulate
from snnrun.testing.exact_loss import exact_loss

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


@pytest.mark.parametrize("name", long_but(CASES, ["sum"]))
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


def with_start(problem: Problem, start: float) -> Problem:
    """Return the problem with all delays of this length."""

    def delayed(projection: Projection) -> Projection:
        if projection.delays is None:
            return projection
        delays = replace(projection.delays, start=np.full_like(projection.delays.start, start))
        return replace(projection, delays=delays)

    net = problem.network
    layers = tuple(replace(x, projections=tuple(map(delayed, x.projections))) for x in net.layers)
    return replace(problem, network=replace(net, layers=layers))


def loss_and_spikes(problem: Problem) -> tuple[float, list[float]]:
    """Return the loss, and the times of all spikes."""
    history = simulate(problem, {})
    loss = exact_loss(history, problem.loss, problem.loss_values, problem.label)
    times = [float(p.t[0] + p.length[0]) for p in history.pieces if p.spiker[0] >= 0]
    return float(loss[0]), times


def test_delays_of_0_are_no_delays() -> None:
    problem = everything(*CASES["sum"])
    layers = tuple(
        replace(x, projections=tuple(replace(p, delays=None) for p in x.projections))
        for x in problem.network.layers
    )
    plain = replace(problem, network=replace(problem.network, layers=layers))
    (loss, times), (same_loss, same_times) = map(loss_and_spikes, (plain, with_start(problem, 0.0)))
    assert len(times) >= 10
    assert same_times == pytest.approx(times, rel=1e-13)
    assert same_loss == pytest.approx(loss, rel=1e-13)


def one_path(delay: float, times: list[float]) -> list[float]:
    """Return when one neuron spikes that one channel drives by a delayed projection."""
    start = np.full((1, 1), delay)
    late = Delays(kind=DelayKind.SYNAPTIC, start=start, most=5.0)
    layers = (
        Layer(
            population=population("hidden", LIF, 1, seed=0),
            projections=(
                Projection(
                    name="late", source="input", target="hidden", mean=0, std=1, delays=late
                ),
            ),
        ),
        Layer(
            population=population("output", LI, 1, seed=0),
            projections=(Projection(name="out", source="hidden", target="output", mean=0, std=1),),
        ),
    )
    problem = Problem(
        network=Network(
            input=Population(name="input", size=1, values={}, floors={}), layers=layers
        ),
        weights={"late": np.full((1, 1), 6.0), "out": np.ones((1, 1))},
        loss=SUM,
        loss_values={},
        times=np.array(times),
        channels=np.zeros(len(times), int),
        label=0,
        duration=30.0,
    )
    return loss_and_spikes(problem)[1]


def test_a_delayed_input_is_a_later_one_and_what_comes_after_the_trial_never_arrives() -> None:
    at = [1.0, 1.5, 9.0, 28.0]
    later = one_path(0.0, [time + 2.5 for time in at])
    assert len(later) >= 3
    assert one_path(2.5, at) == pytest.approx(later, rel=1e-13)


def test_gaps_are_those_between_a_spike_and_arrivals_at_its_own_neuron() -> None:
    problem = everything(*CASES["sum"])
    trial, found = by_hand(problem), simulate(problem, {}).smallest_gaps()[0]
    arrivals: dict[tuple[int, int], list[float]] = {}
    for piece in trial.pieces:
        if piece.event is not None and piece.event.kind == "arrival":
            arrivals.setdefault((piece.event.population, piece.event.j), []).append(piece.event.t)
    gaps = [
        abs(spike.t - t)
        for spike in trial.spikes
        for t in arrivals[spike.population, spike.j]
        if t != spike.t  # sent by itself
    ]
    assert found == pytest.approx(min(gaps), rel=1e-9)
