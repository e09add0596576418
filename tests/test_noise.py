"""Noise and spike dropout in training: HIDDEN_NOISE and PDROP_HIDDEN on the native backend."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import reference
from draws import disturbances, exact_normal, hashes, normal
from long import long_but
from oracle import problem
from parity import TAUS, data_of, gradients_of, load_parameters, load_weights, native, program_of
from reference_models import V
from test_parity import ALL, DT, TOLERANCE, Case, assert_close, case

from snnrun.backends.base import Noise
from snnrun.backends.native.library import NativeBackend
from snnrun.config import from_dict
from snnrun.errors import ModelError
from snnrun.models.neurons import LI
from snnrun.network.network import Population
from snnrun.record import load_run
from snnrun.run import train

KEY = 2**63 + 12345
EXAMPLES = np.arange(4)
NOISE, DROPOUT = 0.08, 0.6
# Every model, refractory period, recurrence, second layer, trained time constants; both, and each
CASES: dict[str, tuple[Case, float, float]] = {
    "both": (case("lif", "sum", spread=0.0), NOISE, DROPOUT),
    "noise": (case("lif", "sum_weigh_exp", recurrent=True, train=TAUS), NOISE, 0.0),
    "spike dropout": (case("lif", "sum_weigh_exp", recurrent=True, train=TAUS), 0.0, DROPOUT),
    "recurrent, refractory": (
        case("lif", "max", recurrent=True, t_ref=1.5, train=ALL, sizes=(5, 11, 3)),
        NOISE,
        DROPOUT,
    ),
    "adaptive, two layers": (
        case("alif", "sum_weigh_sigmoid", hidden_layers=2, train=(*ALL, "tau_b", "b_incr")),
        NOISE,
        DROPOUT,
    ),
    "subtracted, two large layers": (
        case("lif_subtract", "avg_xentropy", recurrent=True, hidden_layers=2, sizes=(9, 140, 20)),
        NOISE,
        DROPOUT,
    ),
    "subtracted, refractory": (
        case("lif_subtract", "avg_xentropy", t_ref=0.5, train=(*TAUS, "v_thresh")),
        NOISE,
        DROPOUT,
    ),
    "driven": (case("lif_rest", "sum", t_ref=1.0, train=(*ALL, "v_rest")), NOISE, DROPOUT),
    "spike times": (case("lif", "first_spike_exp", hidden_layers=2), NOISE, DROPOUT),
}


SOME = ("recurrent, refractory",)


@cache
def built(name: str) -> NativeBackend:
    one, noise, spike_dropout = CASES[name]
    backend = native(
        program_of(one.problem, DT, train=one.train, noise=noise, spike_dropout=spike_dropout)
    )
    load_weights(backend, one.problem.weights)
    load_parameters(backend, one.problem)
    return backend


@pytest.mark.parametrize("name", long_but(CASES, SOME))
def test_spikes_and_gradients_are_those_of_the_reference_with_the_same_draws(name: str) -> None:
    backend, given = built(name), CASES[name][0].problem
    data, maps, results = data_of(given, DT), reference.step_maps(given, DT), []
    for e in EXAMPLES:
        drawn = disturbances(backend.program, KEY, int(e))
        wanted = reference.gradient(given, DT, int(e), maps, disturbances=drawn)
        found = backend.gradient(data, np.array([e]), Noise(key=KEY, in_network=True))
        np.testing.assert_array_equal(found.neuron_spikes, np.concatenate(wanted.counts))
        assert found.loss[0] == pytest.approx(wanted.loss, rel=1e-11)
        assert_close(gradients_of(backend), wanted.gradients)
        trial = backend.trial(data, int(e), Noise(key=KEY, in_network=True))
        for layer, tape in enumerate(wanted.tapes):
            steps, neurons = np.nonzero(tape.spikes)
            np.testing.assert_array_equal(trial.steps[layer], steps)
            np.testing.assert_array_equal(trial.neurons[layer], neurons)
            np.testing.assert_allclose(trial.states[layer]["V"], tape.stepped[:, V], atol=1e-11)
        results.append(wanted)
    backend.gradient(data, EXAMPLES, Noise(key=KEY, in_network=True))
    assert_close(gradients_of(backend), reference.mean_gradients(results))
    late = sum(tape.late.sum() for result in results for tape in result.tapes)
    assert (late > 5) == (CASES[name][2] > 0)  # the case has what it is there for


@pytest.mark.parametrize("name", long_but(CASES, SOME))
def test_evaluation_has_neither(name: str) -> None:
    backend, given = built(name), CASES[name][0].problem
    data, plain = data_of(given, DT), native(program_of(given, DT, train=CASES[name][0].train))
    load_weights(plain, given.weights)
    load_parameters(plain, given)
    a, b = (x.evaluate(data, EXAMPLES) for x in (backend, plain))
    assert a.loss.tobytes() == b.loss.tobytes()
    np.testing.assert_array_equal(a.neuron_spikes, b.neuron_spikes)
    for x in (backend, plain):
        x.gradient(data, EXAMPLES)
    for a, b in zip(gradients_of(backend).values(), gradients_of(plain).values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=TOLERANCE, atol=1e-14)


def test_draws_are_normal_and_independent() -> None:
    h = hashes(KEY, 2000, 250)
    z = normal(h)
    np.testing.assert_allclose(z[:40], exact_normal(h[:40]), rtol=1e-6)
    inner = np.array([100, 2**31 - 1, 2**31 + 100, 2**32 - 1], np.uint32)  # up to 5.4
    np.testing.assert_allclose(normal(inner), exact_normal(inner), rtol=1e-6, atol=1e-9)
    ends = np.array([0, 2**31], np.uint32)  # 6.3
    np.testing.assert_allclose(normal(ends), exact_normal(ends), rtol=5e-4)
    n = z.size
    assert abs(z.mean()) < 4 / n**0.5
    assert abs(z.var() - 1) < 4 * (2 / n) ** 0.5
    assert abs((z**4).mean() - 3) < 4 * (96 / n) ** 0.5
    for a, b in ((z[1:], z[:-1]), (z[:, 1:], z[:, :-1]), (z, normal(hashes(KEY + 1, 2000, 250)))):
        assert abs((a * b).mean()) < 4 / n**0.5


@pytest.mark.parametrize("precision", long_but(["float32", "float64"], ["float32"]))
def test_a_neuron_without_input_has_the_noise_of_an_autoregressive_process(precision: str) -> None:
    given = problem("lif", "sum", spread=0.0, sizes=(3, 200, 2), duration=60.0)
    noise = 0.02  # far below the threshold
    backend = native(program_of(given, DT, noise=noise), precision=precision)
    load_weights(backend, {k: np.zeros_like(w) for k, w in given.weights.items()})
    load_parameters(backend, given)
    trial = backend.trial(data_of(given, DT), 0, Noise(key=KEY, in_network=True))
    decay = np.exp(-DT / given.layers[0].parameters["tau_mem"][0])
    n = np.arange(1, backend.program.steps + 1)
    expected = noise**2 * DT * (1 - decay ** (2 * n)) / (1 - decay**2)
    v = trial.states[0]["V"]
    assert abs((v**2).mean(1) / expected - 1).max() < 5 * (2 / 200) ** 0.5
    (drawn,) = disturbances(backend.program, KEY, 0)
    own = np.empty_like(v)
    own[0], own[1:] = v[0], v[1:] - decay * v[:-1]
    np.testing.assert_allclose(own, drawn.noise, atol=2e-7 if precision == "float32" else 1e-15)
    assert not trial.states[1]["V"].any()  # outputs have none


def test_neurons_are_kept_from_spiking_with_the_probability_that_is_given() -> None:
    given = problem("lif", "sum", spread=0.0, sizes=(3, 200, 2), t_ref=50.0)
    given = replace(given, examples=(((0.0, 0),),))
    backend = native(program_of(given, DT, spike_dropout=DROPOUT))
    load_weights(
        backend, {k: np.full_like(w, 900.0 * (k == "in_to_hid")) for k, w in given.weights.items()}
    )
    load_parameters(backend, given)
    trial = backend.trial(data_of(given, DT), 0, Noise(key=KEY, in_network=True))
    delays = trial.steps[0]  # all cross in step 0, stay above, and are then refractory
    assert len(delays) == 200
    assert (
        abs(delays.mean() - DROPOUT / (1 - DROPOUT))
        < 4 * (DROPOUT / (1 - DROPOUT) ** 2 / 200) ** 0.5
    )
    assert abs((delays == 0).mean() - (1 - DROPOUT)) < 4 * (DROPOUT * (1 - DROPOUT) / 200) ** 0.5


@pytest.mark.parametrize("model", long_but(["lif", "lif_subtract", "alif"], []))
def test_the_mean_gradient_is_that_of_the_mean_loss_where_spikes_are_late(model: str) -> None:
    # The loss is a staircase in a weight, whose steps say nothing of its slope: the slope is
    # integrated over weights that move the crossing by many steps, and held against the difference.
    # Its noise averages over the weights, each with draws of its own; that of the ends does not
    examples, spike_dropout = 10000, 0.9
    given = problem(model, "sum_weigh_exp", spread=0.0, sizes=(1, 1, 2), duration=30.0, t_ref=30.0)
    one = (((2.0, 0),),)
    given = replace(given, examples=one * examples, labels=(0,) * examples)
    backend, data = native(program_of(given, DT, spike_dropout=spike_dropout)), data_of(given, DT)
    load_weights(backend, {"hid_to_out": np.array([[2.0, -1.0]])})
    load_parameters(backend, given)
    weights = np.linspace(9.0, 14.0, 101)
    losses, slopes = [], []
    for k, weight in enumerate(weights):
        backend.set("in_to_hid", np.array([[weight]]))
        drawn = np.arange(examples if weight in weights[[0, -1]] else 300)
        found = backend.gradient(data, drawn, Noise(key=KEY + k, in_network=True))
        assert (found.layer_spikes[:, 0] <= 1).all()
        losses.append(found.loss.mean())
        slopes.append(backend.get("in_to_hid", "gradient")[0, 0])
    difference = losses[-1] - losses[0]
    # the ends lie anywhere within a stair (up to 4 % by step and model), the draws make 0.5 %
    assert np.trapezoid(slopes, weights) == pytest.approx(difference, rel=0.05)


def test_neurons_without_a_threshold_are_refused() -> None:
    with pytest.raises(ModelError, match=r"HIDDEN_NOISE=0.1 and PDROP_HIDDEN=0.*none; set"):
        Population(
            name="h",
            size=1,
            neuron=LI,
            noise=0.1,
            floors={},
            values={p.name: p.default for p in LI.parameters},
        )


@pytest.mark.long
@pytest.mark.parametrize("key", ["HIDDEN_NOISE", "PDROP_HIDDEN"])
def test_a_run_trains_and_records_with_them_and_evaluates_without(key: str, tmp_path: Path) -> None:
    common = {
        "dataset": "yinyang",
        "NUM_HIDDEN": 20,
        "N_TRAIN": 40,
        "N_VALIDATE": 20,
        "N_TEST": 0,
        "N_BATCH": 20,
        "N_EPOCH": 1,
        "DT_MS": 0.5,
        "ETA": 1e-9,
        "MODEL_SEED": 1,
        "REC_SPIKES": ["hidden"],
    }
    runs = []
    for name, value in (("none", 0.0), ("first", 0.3), ("again", 0.3)):
        train(from_dict({**common, key: value}), tmp_path / name)
        runs.append(load_run(tmp_path / name))
    for trial in range(3):  # the last one is validation; recorded is what was learned
        none, first, again = (r.spikes(0, trial, "hidden") for r in runs)
        assert np.array_equal(none.times_ms, first.times_ms) == (trial == 2)
        np.testing.assert_array_equal(first.times_ms, again.times_ms)
        spikes = runs[1].trials["hidden_spikes/hidden"][trial]
        assert len(first.times_ms) == spikes > 0


@pytest.mark.parametrize("batch", [pytest.param(32, marks=pytest.mark.long), 5])
def test_training_has_the_same_bits_with_any_number_of_threads_and_calls(batch: int) -> None:
    given = problem(
        "alif", "sum", recurrent=True, hidden_layers=2, sizes=(9, 150, 20), examples=50, grid=DT
    )
    program, data = (program_of(given, DT, noise=NOISE, spike_dropout=DROPOUT), data_of(given, DT))
    results = []
    for threads, calls in ((1, [50]), (3, [50]), (2, [batch] * (50 // batch) + [50 % batch])):
        backend = native(program, precision="float32", contraction=True, threads=threads)
        load_weights(backend, given.weights)
        load_parameters(backend, given)
        first, losses = 0, []
        for count in calls:
            rates = np.full(-(-count // batch), 0.01)
            if count:
                losses.append(
                    backend.train(
                        data,
                        np.arange(first, first + count),
                        batch,
                        rates,
                        first // batch,
                        Noise(dropout=0.2, key=KEY),
                    ).loss
                )
            first += count
        weights = [backend.get(t.name).tobytes() for t in program.tensors]
        results.append((np.concatenate(losses).tobytes(), weights))
    assert results[0] == results[1] == results[2]
    assert backend.train(
        data, np.arange(5), 5, np.zeros(1), 9, Noise(dropout=0.2, key=KEY)
    ).loss.tolist() != (
        backend.train(
            data, np.arange(5), 5, np.zeros(1), 9, Noise(dropout=0.2, key=KEY + 1)
        ).loss.tolist()
    )
