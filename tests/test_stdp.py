"""rule=stdp: pseudo-gradients against sums over all pairs of spikes, bounds, and what it learns."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from long import long_but
from parity import native
from runs import assert_same_run, small

from snnrun.backends.base import Noise, Trial
from snnrun.backends.native.library import NativeBackend
from snnrun.compile.program import compile_program
from snnrun.config import Config
from snnrun.datasets import load
from snnrun.datasets.packing import Events, pack
from snnrun.datasets.spikes import SpikeData
from snnrun.errors import ConfigError, ModelError
from snnrun.network.build import build_network, find_loss, find_rule, initial_weights
from snnrun.network.network import Projection
from snnrun.record.paths import RunPaths
from snnrun.run import build_program, train
from snnrun.training import checkpoint
from snnrun.training.rewire import rewire

Array = np.ndarray
TOLERANCE = 1e-12
EPSILON = 1e-8  # of Adam
LAYERS: list[dict[str, Any]] = [
    {"size": 20, "forward": {"mean": 1.5, "std": 0.8}, "recurrent": {"mean": 0.2, "std": 0.3}},
    {
        "size": 70,
        "neuron": "ALIF",
        "forward": {"mean": 0.6, "std": 0.3},
        "recurrent": {"mean": 0.0, "std": 0.1},
    },
]
ADDITIVE = {"name": "stdp", "w_min": -0.5, "w_max": 4.0, "tau_plus": 7.0, "tau_minus": 15.0}
MULTIPLICATIVE = {
    **ADDITIVE,
    "bound": "multiplicative",
    "mu": 0.4,
    "a_plus": 0.7,
    "a_minus": 0.3,
    "reward": True,
    "punish": -0.25,
}
FROM_LAYERS: dict[str, Any] = {"NUM_HIDDEN": 200, "DT_MS": 0.5}  # 200: the default, of no layer
CASES: dict[str, tuple[Mapping[str, Any], list[dict[str, Any]]]] = {
    "additive": (ADDITIVE, LAYERS),
    "additive, every spike": ({**ADDITIVE, "a_post": -0.2, "reward": True}, LAYERS),
    "multiplicative": ({**MULTIPLICATIVE, "a_post": 0.15}, LAYERS),
    "linear bounds, mixed with frozen and gradients": (
        {**MULTIPLICATIVE, "mu": 1.0, "a_post": -0.1},
        [
            {**LAYERS[0], "forward": {**LAYERS[0]["forward"], "rule": "frozen"}},
            {**LAYERS[1], "recurrent": {**LAYERS[1]["recurrent"], "rule": "eventprop"}},
        ],
    ),
    "spiking outputs": (
        {**ADDITIVE, "a_post": 0.1},
        [
            {**LAYERS[0], "forward": {**LAYERS[0]["forward"], "rule": "eventprop"}},
            {"name": "output", "forward": {"rule": "stdp"}},
        ],
    ),
}


def configured(name: str, **keys: Any) -> Config:
    rule, layers = CASES[name]
    return small(rule=dict(rule), **{"network.layers": layers, **FROM_LAYERS, **keys})


@cache
def opened(name: str, precision: str = "float64", threads: int = 1) -> tuple[NativeBackend, Any]:
    config = configured(name)
    splits = load(config)
    backend = native(build_program(config, splits), precision=precision, threads=threads)
    return backend, splits


def start(backend: NativeBackend, config: Config) -> None:
    for name, weights in initial_weights(backend.program.network, config.MODEL_SEED).items():
        backend.set(name, weights)


def pair_by_pair(
    arrivals: tuple[Array, Array],
    spikes: tuple[Array, Array],
    shape: tuple[int, int],
    dt: float,
    rule: Any,
) -> tuple[Array, Array, Array]:
    """Return P and D [pre, post], and S [post], by a loop over every pair."""
    P, D, S = np.zeros(shape), np.zeros(shape), np.zeros(shape[1])
    for n, k in zip(*spikes, strict=True):
        S[k] += 1
        for m, i in zip(*arrivals, strict=True):
            if n >= m:
                P[i, k] += np.exp(-(n - m) * dt / rule.tau_plus)
            else:
                D[i, k] += np.exp(-(m - n) * dt / rule.tau_minus)
    return P, D, S


def arrivals_at(projection: Projection, trial: Trial, names: list[str], steps: int) -> Any:
    """Return steps and neurons of what arrives in the trial: a step after it was emitted."""
    if projection.source == "input":
        return trial.input_steps, trial.input_channels
    source = names.index(projection.source)
    here = trial.steps[source] + 1 < steps
    return trial.steps[source][here] + 1, trial.neurons[source][here]


def expected(name: str, examples: Array) -> dict[str, Array]:
    """Return the pseudo-gradient of every plastic projection."""
    backend, splits = opened(name)
    config, data = configured(name), splits.train.data
    rule, network = config.rule, backend.program.network
    names = [layer.population.name for layer in network.layers]
    found: dict[str, Array] = {}
    for e in examples:
        trial = backend.trial(data, int(e))
        right = trial.prediction == data.labels[e]
        reward = 1.0 if right or not rule.reward else rule.punish
        for p in network.projections:
            if not p.plastic:
                continue
            w = backend.get(p.name)
            to = names.index(p.target)
            spikes = (trial.steps[to], trial.neurons[to])
            arrivals = arrivals_at(p, trial, names, backend.program.steps)
            P, D, S = pair_by_pair(arrivals, spikes, w.shape, config.DT_MS, rule)
            up, down = np.ones_like(w), np.ones_like(w)
            if rule.bound == "multiplicative":
                up, down = (rule.w_max - w) ** rule.mu, (w - rule.w_min) ** rule.mu
            change = rule.a_plus * up * P - rule.a_minus * down * D
            change += rule.a_post * (up if rule.a_post > 0 else down) * S
            found[p.name] = found.get(p.name, 0) - reward * change / len(examples)
    return found


@pytest.mark.parametrize("name", long_but(CASES, ["additive, every spike"]))
def test_pseudo_gradients_are_the_sums_over_all_pairs(name: str) -> None:
    backend, splits = opened(name)
    start(backend, configured(name))
    examples = np.arange(6)
    wanted = expected(name, examples)
    results = backend.gradient(splits.train.data, examples)
    if "reward" in CASES[name][0]:
        right = results.prediction == splits.train.data.labels[:6]
        assert 0 < right.sum() < 6
    assert wanted
    for projection, change in wanted.items():
        assert np.abs(change).max() > 0.01
        found = backend.get(projection, "gradient")
        np.testing.assert_allclose(found, change, rtol=0, atol=TOLERANCE * np.abs(change).max())


def test_a_rule_of_ones_own_multiplies_a_trace_a_signal_and_a_third_factor() -> None:
    own = "own_rules.THREE_FACTOR"
    layers = [
        {**layer, "forward": {**layer["forward"], "rule": own}, "recurrent": None}
        for layer in LAYERS
    ]
    config = small(**{"network.layers": layers, **FROM_LAYERS})
    splits = load(config)
    backend, data = native(build_program(config, splits)), splits.train.data
    start(backend, config)
    dt, steps = config.DT_MS, backend.program.steps
    names = [layer.population.name for layer in backend.program.network.layers]
    plastic = [p for p in backend.program.network.projections if p.plastic]
    wanted = {p.name: np.zeros(backend.get(p.name).shape) for p in plastic}
    results = backend.evaluate(data, np.arange(3))
    for e in range(3):
        trial = backend.trial(data, e)
        factor = (results.prediction[e] == data.labels[e]) - 2 * results.loss[e]
        for p in plastic:
            compiled = backend.program.populations[names.index(p.target)]
            states, values = trial.states[names.index(p.target)], compiled.population.values
            level = values["v_thresh"] + states.get("B", 0)
            plus = 1 / (1 + 10 * np.abs(states["V"] - level)) ** 2
            minus = states["I"] * states["V"] / values["tau_mem"]
            after, before = np.zeros(plus.shape), np.zeros(plus.shape)
            for n in range(steps):  # traces of the arrivals, by a loop over all steps
                m = np.arange(n + 1)
                after[m] += np.exp(-(n - m) * dt / 7.0)[:, None] * plus[n]
                m = np.arange(n + 1, steps)
                before[m] += np.exp(-(m - n) * dt / 15.0)[:, None] * minus[n]
            m, i = arrivals_at(p, trial, names, steps)
            np.add.at(wanted[p.name], i, -factor / 3 * (0.7 * after[m] - 0.3 * before[m]))
    backend.gradient(data, np.arange(3))
    for name, change in wanted.items():
        assert np.abs(change).max() > 0.01
        found = backend.get(name, "gradient")
        np.testing.assert_allclose(found, change, rtol=0, atol=1e-11 * np.abs(change).max())


@pytest.mark.long
def test_other_projections_have_the_gradients_that_they_have_without_stdp() -> None:
    name = "linear bounds, mixed with frozen and gradients"
    config, (backend, splits) = configured(name), opened(name)
    same = small(**{"network.layers": LAYERS}, **FROM_LAYERS)
    other = native(build_program(same, splits), precision="float64", threads=1)
    start(backend, config)
    for tensor in backend.program.tensors:
        other.set(tensor.name, backend.get(tensor.name))
    for b in (backend, other):
        b.gradient(splits.train.data, np.arange(6))
    for projection in ("hid_to_hid1", "hid_to_out"):
        found, wanted = backend.get(projection, "gradient"), other.get(projection, "gradient")
        assert np.abs(wanted).max() > 0
        np.testing.assert_array_equal(found, wanted)
    trained = {t.name for t in backend.program.tensors if t.trained}
    assert trained == {"hid_to_hid0", "hid_to_hidfwd0", "hid_to_hid1", "hid_to_out"}


def learned(backend: NativeBackend, data: SpikeData, config: Config) -> dict[str, Array]:
    """Learn 30 examples in batches of 10 and return all weights."""
    start(backend, config)
    examples, rates = np.arange(30), np.array([0.3, 0.2, 0.1])
    results = backend.train(data, examples, 10, rates, 0, Noise(key=1))
    assert results.failed_batch == -1
    return {t.name: backend.get(t.name) for t in backend.program.tensors}


@pytest.mark.parametrize("name", long_but(list(CASES)[:2], []))
def test_a_step_is_the_rate_times_the_mean_change_within_the_bounds(name: str) -> None:
    backend, splits = opened(name)
    config = configured(name)
    start(backend, config)
    before = {t.name: backend.get(t.name) for t in backend.program.tensors}
    backend.gradient(splits.train.data, np.arange(10))
    low, high = config.rule.w_min, config.rule.w_max
    plastic = [p.name for p in backend.program.network.projections if p.plastic]
    wanted = {p: np.clip(before[p] - 0.3 * backend.get(p, "gradient"), low, high) for p in plastic}
    backend.train(splits.train.data, np.arange(10), 10, np.array([0.3]), 0, Noise(key=1))
    reached = set()
    for p in plastic:
        found = backend.get(p)
        np.testing.assert_allclose(found, wanted[p], rtol=0, atol=1e-14)
        reached |= {*found[(found == low) | (found == high)]}
        assert low <= before[p].min()
    assert low in reached or high in reached


@pytest.mark.parametrize("name", long_but(["additive", "multiplicative"], ["multiplicative"]))
def test_the_bits_do_not_depend_on_the_threads(name: str) -> None:
    config = configured(name)
    one, two = (opened(name, "float32", threads) for threads in (1, 3))
    found = [learned(backend, splits.train.data, config) for backend, splits in (one, two)]
    for tensor, weights in found[0].items():
        np.testing.assert_array_equal(weights, found[1][tensor], err_msg=tensor)


def test_adam_takes_pseudo_gradients_and_keeps_the_bounds() -> None:
    config = small(
        rule={**ADDITIVE, "optimiser": "adam"}, **{"network.layers": LAYERS}, **FROM_LAYERS
    )
    splits = load(config)
    backend = native(build_program(config, splits), precision="float64")
    start(backend, config)
    before = backend.get("in_to_hid0")
    backend.gradient(splits.train.data, np.arange(10))
    g = backend.get("in_to_hid0", "gradient")
    backend.train(splits.train.data, np.arange(10), 10, np.array([1.5]), 0, Noise(key=1))
    wanted = np.clip(before - 1.5 * g / (np.abs(g) + EPSILON), -0.5, 4.0)
    np.testing.assert_allclose(backend.get("in_to_hid0"), wanted, rtol=0, atol=1e-12)
    np.testing.assert_allclose(backend.get("in_to_hid0", "first"), 0.1 * g, rtol=1e-12)
    assert {wanted.min(), wanted.max()} == {-0.5, 4.0}


@pytest.mark.long
def test_a_killed_run_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"N_EPOCH": 4, "network.layers": LAYERS, **FROM_LAYERS}
    for optimiser in ("sgd", "adam"):
        rule = {**MULTIPLICATIVE, "a_post": 0.15, "optimiser": optimiser}
        whole, parts = tmp_path / f"whole {optimiser}", tmp_path / f"parts {optimiser}"
        train(small(rule=rule, **keys), whole)
        train(small(rule=rule, **{**keys, "N_EPOCH": 2}), parts)
        train(small(rule=rule, **keys), parts, resume=True)
        assert_same_run(whole, parts)
        start_weights = initial_weights(build_network(small(rule=rule, **keys), 5, 3), 1)
        last = checkpoint.load(RunPaths(whole).last)["tensors"]
        for name, weights in start_weights.items():
            assert (weights.astype(np.float32) != last[name]["value"]).any(), name


def test_the_rule_of_a_run_trains_hidden_projections_and_leaves_the_output_to_gradients() -> None:
    layers = small(rule="stdp", RECURRENT=True, N_HID_LAYER=2).layers
    rules = [(x.forward.rule, x.recurrent and x.recurrent.rule) for x in layers]
    assert rules == [("stdp", "stdp"), ("stdp", "stdp"), ("eventprop", None)]
    frozen = small(rule="stdp", TRAIN_W_OUTPUT=False).layers
    assert [x.forward.rule for x in frozen] == ["stdp", "frozen"]
    one = small(**{"network.layers": [{}, {"forward": {"rule": "stdp"}}]}).layers
    assert [x.forward.rule for x in one] == ["eventprop", "stdp", "eventprop"]


def test_initial_weights_are_within_the_bounds() -> None:
    config = small(rule={"name": "stdp", "w_max": 1.6}, INPUT_HIDDEN_STD=3.0)
    weights = initial_weights(build_network(config, 5, 3), 1)
    assert (weights["in_to_hid"].min(), weights["in_to_hid"].max()) == (0.0, 1.6)
    assert weights["hid_to_out"].max() > 0.93


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"rule": {"name": "stdp", "w_min": 2}}, "rule.w_min=2: must be below rule.w_max=1"),
        ({"rule": "stdp", "REG_TYPE": "simple"}, "REG_TYPE=simple: has no effect, as it adds to"),
    ],
)
def test_options_that_mean_nothing_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        small(**keys)
    assert message in str(caught.value)


def test_what_cannot_learn_by_stdp_is_refused() -> None:
    output = [{}, {"name": "output", "forward": {"rule": "stdp"}}]
    with pytest.raises(ModelError, match="hid_to_out: rule stdp pairs spikes, and neuron li of"):
        build_network(small(LOSS_TYPE="sum", **{"network.layers": output}), 5, 3)
    build_network(small(LOSS_TYPE="first_spike", **{"network.layers": output}), 5, 3)
    for keys in ({"rule": "stdp"}, {"network.layers": [{"forward": {"rule": "stdp"}}]}):
        with pytest.raises(ConfigError, match="rule=stdp: backend genn cannot run it; use backend"):
            small(backend="genn", **keys)


def wave(config: Config, channels: int) -> SpikeData:
    """Return one example: a spike of each channel, spread over 20 ms in the channels' order."""
    steps = np.linspace(0, 20.0 / config.DT_MS, channels).astype(np.int32)
    events = Events(
        steps=steps, channels=np.arange(channels, dtype=np.uint16), counts=np.array([channels])
    )
    return pack(
        events, labels=np.zeros(1, np.int32), n_steps=config.steps, n_channels=channels, n_classes=2
    )


def test_the_response_to_a_repeated_wave_of_spikes_comes_ever_earlier() -> None:
    """Song, Miller & Abbott 2000; Guyonneau, VanRullen & Thorpe 2005, Neural Comput 17:859."""
    config = small(
        rule={"name": "stdp", "w_max": 0.6, "a_minus": 0.85},
        NUM_HIDDEN=8,
        TRIAL_MS=40.0,
        DT_MS=0.1,
        INPUT_HIDDEN_MEAN=0.15,
        INPUT_HIDDEN_STD=0.02,
        TRAIN_W_OUTPUT=False,
        LOSS_TYPE="sum",
    )
    data = wave(config, 100)
    network = build_network(config, n_inputs=100, n_outputs=2)
    options = {"steps": config.steps, "dt": config.DT_MS, "rule": find_rule(config)}
    program = compile_program(network, find_loss(config), {}, **options)
    backend = native(program)
    start(backend, config)

    def latencies() -> Array:
        trial = backend.trial(data, 0)
        steps, neurons = trial.steps[0], trial.neurons[0]
        return np.array([steps[neurons == k].min() * config.DT_MS for k in range(8)])

    found = [latencies()]
    for _ in range(12):
        backend.train(data, np.zeros(20, np.int64), 1, np.full(20, 0.001), 0, Noise(key=1))
        found.append(latencies())
    assert found[0].min() > 9.0
    assert found[-1].max() < 0.6 * found[0].min()
    assert (np.diff(found, axis=0) <= config.DT_MS).all()  # hardly ever a step later
    weights = backend.get("in_to_hid")
    assert weights[:10].min() > 0.55
    assert weights[70:].max() < 0.05


@pytest.mark.parametrize("lift", [0.0, 100.0])
def test_rewired_weights_are_within_the_bounds(lift: float) -> None:
    backend, _ = opened("additive")
    config = configured("additive", REWIRE_SILENT=True, REWIRE_LIFT=lift)
    start(backend, config)
    neurons = sum(c.population.size for c in backend.program.populations)
    rewire(config, backend, np.zeros(neurons, np.int64), 1)
    weights = backend.get("in_to_hid0")
    assert weights.max() <= 4.0
    assert weights.min() >= -0.5
    assert lift == 0 or weights.min() == 4.0


def test_options_that_no_projection_uses_are_refused() -> None:
    for frozen in ({"TRAIN_W": False}, {"network.layers": [{"forward": {"rule": "frozen"}}]}):
        with pytest.raises(ConfigError, match=r"rule\.w_max=0\.3: has no effect, as no proj"):
            small(rule={"name": "stdp", "w_max": 0.3}, **frozen)
