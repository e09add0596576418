"""The grid semantics by hand on tiny networks, and their gradient against the exact simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import oracle
import pytest
import reference
from long import long_but
from oracle import Layer, Problem, problem
from oracle_loss import Loss
from reference import IN, MODELS, B, V

DTS = (0.05, 0.01, 0.002)  # ms
CASES = {  # seeds in which no spike lies so close to another event that 0.05 ms swaps them
    "lif, sum": problem(seed=3),
    "lif, sum_weigh_exp, recurrent": problem(loss="sum_weigh_exp", recurrent=True, seed=1),
    "lif, sum_weigh_linear, v_reset below 0": problem(
        loss="sum_weigh_linear", parameters={"v_reset": -0.3}
    ),
    "lif, sum_weigh_sigmoid, recurrent, two layers": problem(
        loss="sum_weigh_sigmoid", recurrent=True, hidden_layers=2, seed=1
    ),
    "lif, max": problem(loss="max", seed=5),
    "lif, max, two layers": problem(loss="max", hidden_layers=2, seed=16),
    "lif, avg_xentropy": problem(loss="avg_xentropy", seed=3),
    "lif, first_spike": problem(loss="first_spike", seed=1),
    "lif_rest, avg_xentropy, recurrent, v_reset above 0": problem(
        "lif_rest", "avg_xentropy", recurrent=True, parameters={"v_reset": 0.2}, seed=1
    ),
    "lif, relative_mse": problem(loss="relative_mse", seed=1),
    "lif, sum_weigh_input, recurrent": problem(loss="sum_weigh_input", recurrent=True, seed=8),
    "lif_rest, first_spike_exp": problem("lif_rest", "first_spike_exp", seed=1),
    "lif_subtract, sum": problem("lif_subtract"),
    "lif_subtract, first_spike_exp, recurrent": problem(
        "lif_subtract", "first_spike_exp", recurrent=True, seed=1
    ),
    "alif, sum_weigh_exp, recurrent": problem("alif", "sum_weigh_exp", recurrent=True),
    "alif, max, recurrent": problem("alif", "max", recurrent=True, seed=2),
    "alif, first_spike, two layers, v_reset below 0": problem(
        "alif", "first_spike", hidden_layers=2, parameters={"v_reset": -0.3}, seed=1
    ),
    "refractory lif, sum, recurrent": problem(recurrent=True, t_ref=1.5),
    "refractory lif, sum, two layers": problem(hidden_layers=2, t_ref=3.0, seed=2),
    "refractory alif, avg_xentropy, recurrent": problem(
        "alif", "avg_xentropy", recurrent=True, t_ref=1.0
    ),
    "refractory lif_subtract, first_spike": problem("lif_subtract", "first_spike", t_ref=2.0),
    "lif with tau_syn = tau_mem, sum": problem(parameters={"tau_syn": 20.0}, spread=0.0, seed=5),
}


def largest_error(result: reference.Result, exact: oracle.Exact) -> float:
    """Distance from the finite differences over their length: the worst projection or parameter."""
    errors = [0.0]
    for key, numeric in exact.gradients.items():
        length = np.linalg.norm(numeric)
        difference = np.linalg.norm(result.gradients[key] - numeric)
        errors.append(float(difference / length) if length > 1e-9 else float(difference))
    return max(errors)


SOME = (
    "lif, sum_weigh_exp, recurrent",
    "lif, max",
    "alif, first_spike, two layers, v_reset below 0",
    "refractory alif, avg_xentropy, recurrent",
)


@pytest.mark.parametrize("name", long_but(CASES, SOME))
def test_gradient_converges_in_first_order_to_the_exact_one(name: str) -> None:
    case = CASES[name]
    exact = oracle.finite_differences(case)
    assert all((count >= 1).all() for count in exact.counts[:-1])
    if case.loss.of_spikes:
        assert np.isfinite(exact.first_spikes).all()
    # a spike moves by half a step on average; the largest V moves by a step where it is a cusp
    per_ms = 4.0 if case.loss.name == "max" else 2.0
    for dt in DTS:
        result = reference.gradient(case, dt)
        assert all((a == b).all() for a, b in zip(result.counts, exact.counts, strict=True))
        assert abs(result.loss - exact.loss) < 1.0 * dt
        assert largest_error(result, exact) < per_ms * dt


def test_euler_steps_converge_too() -> None:
    case = CASES["alif, sum_weigh_exp, recurrent"]
    exact = oracle.finite_differences(case)
    for dt in DTS[:2]:
        maps = reference.step_maps(case, dt, "euler")
        assert largest_error(reference.gradient(case, dt, maps=maps), exact) < 2.0 * dt


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.loss.name == "max"])
def test_the_largest_voltage_needs_the_time_of_the_spike_that_ends_its_rise(name: str) -> None:
    case = CASES[name]
    without = replace(case, loss=replace(case.loss, kinks=False))
    exact = oracle.finite_differences(case)
    assert largest_error(reference.gradient(without, DTS[1]), exact) > 0.1


def tiny(
    events: Sequence[tuple[float, int]],
    weights: Mapping[str, list[list[float]]],
    model: str = "lif",
    loss: str = "sum",
    t_ref: float = 0.0,
    duration: float = 20.0,
) -> Problem:
    """Hidden neurons and outputs of the default parameters without spread; label 0."""
    w = {name: np.array(rows) for name, rows in weights.items()}
    output = "lif" if loss.startswith("first_spike") else "li"

    def layer(name: str, model: str, feedforward: str, recurrent: str, t_ref: float) -> Layer:
        means = {key: oracle.DEFAULTS[key] for key in oracle.PARAMETERS[model]}
        full = {key: np.full(w[feedforward].shape[1], mean) for key, mean in means.items()}
        return Layer(
            name=name,
            model=model,
            parameters=full,
            feedforward=feedforward,
            recurrent=recurrent,
            t_ref=t_ref,
        )

    recurrent = "hid_to_hid" if "hid_to_hid" in w else ""
    return Problem(
        layers=(
            layer("hidden", model, "in_to_hid", recurrent, t_ref),
            layer("output", output, "hid_to_out", "", 0.0),
        ),
        weights=w,
        examples=(tuple(events),),
        labels=(0,),
        loss=Loss(name=loss),
        duration=duration,
    )


def test_input_acts_in_its_step_and_a_spike_one_step_later() -> None:
    case = tiny([(3.0, 0)], {"in_to_hid": [[25.0]], "hid_to_out": [[0.5, 0.0]]})
    hidden, output = reference.simulate(case, 1.0)
    assert list(np.flatnonzero(hidden.spikes[:, 0])[:1]) == [3]
    assert list(hidden.arrived[2:4, IN, 0]) == [0.0, 25.0]
    transfer = (np.exp(-1 / 20) - np.exp(-1 / 5)) / 3  # tau_syn / (tau_mem - tau_syn) = 1/3
    assert hidden.stepped[3, V, 0] == pytest.approx(25 * transfer, rel=1e-14)
    assert hidden.arrived[4, V, 0] == 0.0
    assert hidden.arrived[4, IN, 0] == hidden.stepped[3, IN, 0]
    assert list(output.arrived[3:5, IN, 0]) == [0.0, 0.5]


def test_gradient_of_one_spike_is_the_one_by_hand() -> None:
    weights = {"in_to_hid": [[25.0]], "hid_to_out": [[0.5, -0.25]]}
    result = reference.gradient(tiny([(3.0, 0)], weights, duration=5.0), 1.0)
    assert list(result.counts[0]) == [1]
    transfer = (np.exp(-1 / 20) - np.exp(-1 / 5)) / 3
    u = np.array([0.5, -0.25]) * transfer / 5  # the spike arrives in step 4, the last one
    dl_dV = (np.exp(u) / np.exp(u).sum() - np.array([1.0, 0.0])) / 5
    np.testing.assert_allclose(result.gradients["hid_to_out"], [dl_dV * transfer], rtol=1e-12)
    R = np.array([0.5, -0.25]) @ (dl_dV * transfer)  # a step later it would come too late
    D = (25.0 - 1.0) / 20  # the input before its decay, V on the threshold
    np.testing.assert_allclose(result.gradients["in_to_hid"], [[transfer * R / D]], rtol=1e-12)
    np.testing.assert_allclose(result.gradients["hidden.v_thresh"], [-R / D], rtol=1e-12)


def test_a_spike_of_the_last_step_counts_and_reaches_nobody() -> None:
    case = tiny([(19.0, 0)], {"in_to_hid": [[25.0]], "hid_to_out": [[0.5, 0.0]]})
    hidden, output = reference.simulate(case, 1.0)
    assert hidden.spikes.sum() == hidden.spikes[19, 0] == 1
    assert not output.arrived[:, IN].any()
    assert not reference.gradient(case, 1.0).gradients["hid_to_out"].any()


def test_an_output_spike_of_the_last_step_has_the_time_of_the_trial_end() -> None:
    case = tiny(
        [(18.0, 0)], {"in_to_hid": [[25.0]], "hid_to_out": [[25.0, 0.0]]}, loss="first_spike"
    )
    result = reference.gradient(case, 1.0)
    assert list(result.counts[-1]) == [1, 0]
    assert result.prediction == 0
    assert result.loss == pytest.approx(np.log1p(np.exp(-1)) + 0.1 / (0.01 * 20), rel=1e-12)


def test_no_output_spike_predicts_nothing_and_pushes_the_label() -> None:
    case = tiny([(3.0, 0)], {"in_to_hid": [[25.0]], "hid_to_out": [[0.1, 0.1]]}, loss="first_spike")
    result = reference.gradient(case, 1.0)
    assert result.prediction == -1
    assert result.loss == pytest.approx(np.log(2) + 0.1 / (0.01 * 20))
    left = 20.0 - (np.flatnonzero(result.tapes[0].spikes[:, 0]) + 1)  # from arrival to the end
    transfer = (np.exp(-left / 20) - np.exp(-left / 5)) / 3
    expected = -20.0 * 0.1 / (0.01 * 20) ** 2 * transfer.sum()
    np.testing.assert_allclose(result.gradients["hid_to_out"], [[expected, 0.0]], rtol=1e-12)


def test_refractory_neurons_hold_v_and_keep_their_input() -> None:
    case = tiny([(0.0, 0)], {"in_to_hid": [[60.0]], "hid_to_out": [[0.0, 0.0]]}, t_ref=3.0)
    hidden = reference.simulate(case, 1.0)[0]
    assert list(np.flatnonzero(hidden.spikes[:, 0])[:2]) == [0, 4]
    assert list(np.flatnonzero(hidden.refractory[:6, 0])) == [1, 2, 3, 5]
    assert not hidden.stepped[1:4, V].any()
    np.testing.assert_allclose(hidden.stepped[:4, IN, 0], 60 * np.exp(-np.arange(1, 5) / 5))


def test_adaptation_raises_the_threshold_by_its_increment() -> None:
    case = tiny([(0.0, 0)], {"in_to_hid": [[30.0]], "hid_to_out": [[0.0, 0.0]]}, model="alif")
    hidden = reference.simulate(case, 1.0)[0]
    assert hidden.spikes[0, 0]
    assert hidden.arrived[0, B, 0] == 0.05
    assert hidden.arrived[1, B, 0] == hidden.stepped[0, B, 0] + 0.25


def test_arrivals_add_up_by_rising_index_and_the_recurrent_ones_last() -> None:
    big = 2.0**60  # lost or kept beside 1 as the order has it
    weights = {"in_to_hid": [[big], [-big], [1.0]], "hid_to_out": [[0.0, 0.0]]}
    case = tiny([(0.0, 2), (0.0, 1), (0.0, 0)], weights)
    assert reference.simulate(case, 1.0)[0].arrived[0, IN, 0] == 1.0
    kept = big * float(reference.step_map(case.layers[0], 1.0).P[0, IN, IN])  # of big, in step 1
    weights = {"in_to_hid": [[big], [-kept]], "hid_to_hid": [[1.0]], "hid_to_out": [[0.0, 0.0]]}
    case = tiny([(0.0, 0), (1.0, 1)], weights)
    assert reference.simulate(case, 1.0)[0].arrived[1, IN, 0] == 1.0


def test_two_events_of_a_channel_in_one_step_count_twice() -> None:
    weights = {"in_to_hid": [[15.0]], "hid_to_out": [[0.5, 0.0]]}
    twice = reference.gradient(tiny([(1.0, 0), (1.0, 0)], weights), 1.0)
    heavy = reference.gradient(tiny([(1.0, 0)], weights | {"in_to_hid": [[30.0]]}), 1.0)
    assert twice.loss == heavy.loss
    single = heavy.gradients["in_to_hid"]
    assert single.any()
    np.testing.assert_allclose(twice.gradients["in_to_hid"], 2 * single, rtol=1e-14)


def test_a_spike_without_upward_crossing_passes_no_gradient() -> None:
    # the first spike leaves V above the threshold, inhibition makes V fall, and it spikes again
    weights = {"in_to_hid": [[60.0], [-60.0]], "hid_to_out": [[1.0, 0.0]]}
    case = tiny([(0.0, 0), (1.0, 1)], weights, model="lif_subtract")
    result = reference.gradient(case, 1.0)
    assert list(np.flatnonzero(result.tapes[0].spikes[:, 0])) == [0, 1]
    assert result.gradients["in_to_hid"][0, 0] != 0.0
    assert result.gradients["in_to_hid"][1, 0] == 0.0


def test_equal_outputs_predict_the_lowest_class() -> None:
    for loss in ("sum", "max", "avg_xentropy", "first_spike"):
        weights = {"in_to_hid": [[25.0]], "hid_to_out": [[0.0, 30.0, 30.0]]}
        assert reference.gradient(tiny([(1.0, 0)], weights, loss=loss), 1.0).prediction == 1


@pytest.mark.parametrize("tau_syn", [5.0, 20.0, 20.0 + 1e-7])
def test_propagators_are_the_closed_ones(tau_syn: float) -> None:
    case = problem(parameters={"tau_syn": tau_syn}, spread=0.0)
    p, dt = {k: v[0] for k, v in case.layers[0].parameters.items()}, 0.7
    unit = np.array([[0.0], [1.0], [0.0]])
    full = {name: np.array([p.get(name, 0.0) or 1.0]) for name in oracle.DEFAULTS}
    full["v_rest"] = np.zeros(1)
    expected = oracle.flow(full, unit, np.array(dt))[:2, 0]
    P = reference.step_map(case.layers[0], dt).P[0]
    np.testing.assert_allclose(P[:, IN], expected, rtol=1e-13)
    np.testing.assert_allclose(P[:, V], [np.exp(-dt / 20.0), 0.0], rtol=1e-14)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("held", [False, True])
def test_derivatives_of_the_propagators_agree_with_differences(model: str, held: bool) -> None:
    layer = replace(problem(model if model != "li" else "lif").layers[0], model=model)
    step = reference.step_map(layer, 0.8, held=held)
    for name in MODELS[model].parameters:
        sides = []
        for sign in (1, -1):
            moved = dict(layer.parameters) | {name: layer.parameters[name] + sign * 1e-4}
            sides.append(reference.step_map(replace(layer, parameters=moved), 0.8, held=held).P)
        np.testing.assert_allclose(step.P_p[name], (sides[0] - sides[1]) / 2e-4, atol=1e-9)


def test_a_batch_has_the_mean_of_its_examples() -> None:
    batch = problem(loss="avg_xentropy", examples=3, seed=2)
    results = [reference.gradient(batch, 0.1, example) for example in range(3)]
    alone = replace(batch, examples=batch.examples[2:], labels=batch.labels[2:])
    assert reference.gradient(alone, 0.1).loss == results[2].loss
    mean = reference.mean_gradients(results)
    for key, value in mean.items():
        np.testing.assert_allclose(value, sum(r.gradients[key] for r in results) / 3, rtol=1e-12)
