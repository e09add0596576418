"""Networks as graphs (network.populations, network.projections): what they become, and runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import assert_same_run, small, stopped_at

from snnrun.backends.native.emit import emit
from snnrun.compile.program import Program
from snnrun.config import Config, from_dict
from snnrun.datasets import load
from snnrun.network.build import build_network, initial_weights
from snnrun.network.network import Network
from snnrun.record import load_run
from snnrun.record.paths import RunPaths
from snnrun.run import build_program, train
from snnrun.training.checkpoint import load as load_checkpoint

POPULATIONS: list[dict[str, Any]] = [
    {"name": "fast", "size": 12},
    {"name": "slow", "size": 9, "neuron": "ALIF", "train_tau": True},
]
PROJECTIONS: list[dict[str, Any]] = [
    {"from": "slow", "to": "output"},
    {"from": "input", "to": "output"},
    {"from": "slow", "to": "fast", "sign": "inhibitory", "mean": 0.1, "std": 0.1},
    {"from": "input", "to": "fast", "mean": 1.8, "std": 0.8},
    {
        "from": "fast",
        "to": "slow",
        "name": "up",
        "mean": 1.2,
        "std": 0.5,
        "delay": {"kind": "synaptic", "start": {"uniform": [0, 3]}, "max": 6, "train": True},
    },
    {"from": "fast", "to": "slow", "sign": 1, "std": 0.5, "delay": 1.5},
]


def graph(
    populations: Any = POPULATIONS, projections: Any = PROJECTIONS, **keys: Any
) -> dict[str, Any]:
    return {
        "backend": "numpy",
        "NUM_HIDDEN": 200,
        "DT_MS": 0.5,
        "N_TRAIN": 60,
        "network.populations": populations,
        "network.projections": projections,
        **keys,
    }


def drawn(**keys: Any) -> Config:
    return small(**graph(**keys))


def network_of(config: Config) -> Network:
    return build_network(config, n_inputs=5, n_outputs=3)


def program(config: Config) -> Program:
    return build_program(config, load(config))


def chain(*ends: tuple[str, str], **names: str) -> list[dict[str, Any]]:
    return [{"from": a, "to": b, "name": names[f"{a}_{b}"]} for a, b in ends]


NAMES = {
    "input_hidden": "in_to_hid",
    "hidden_hidden": "hid_to_hid",
    "hidden_output": "hid_to_out",
    "input_hidden0": "in_to_hid0",
    "hidden0_hidden0": "hid_to_hid0",
    "hidden0_hidden1": "hid_to_hidfwd0",
    "hidden1_hidden1": "hid_to_hid1",
    "hidden1_output": "hid_to_out",
}
SAME: dict[str, tuple[dict[str, Any], list[str], list[tuple[str, str]]]] = {
    "one hidden population": ({}, ["hidden"], [("hidden", "output"), ("input", "hidden")]),
    "two recurrent ones": (
        {"N_HID_LAYER": 2, "RECURRENT": True, "HIDDEN_HIDDENFWD_STD": 0.3, "TRAIN_TAU": True},
        ["hidden1", "hidden0"],
        [
            ("hidden0", "hidden0"),
            ("input", "hidden0"),
            ("hidden1", "output"),
            ("hidden0", "hidden1"),
            ("hidden1", "hidden1"),
        ],
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_a_graph_is_the_network_by_keys_and_by_layers_that_is_the_same(name: str) -> None:
    keys, hidden, ends = SAME[name]
    shared = {k: v for k, v in keys.items() if k not in ("N_HID_LAYER", "RECURRENT")}
    populations = [{"name": n} for n in hidden]
    by_graph = program(
        small(
            **shared,
            **{"network.populations": populations, "network.projections": chain(*ends, **NAMES)},
        )
    )
    recurrent = {"recurrent": True} if "RECURRENT" in keys else {}
    layers = [recurrent] * len(hidden)
    for other in (small(**keys), small(**shared, **{"network.layers": layers})):
        theirs = program(other)
        assert by_graph.fingerprint == theirs.fingerprint
        assert emit(by_graph, "float32") == emit(theirs, "float32")
        weights = [initial_weights(p.network, 1) for p in (by_graph, theirs)]
        assert list(weights[0]) == list(weights[1])
        assert all((weights[0][k] == weights[1][k]).all() for k in weights[0])


def test_populations_and_projections_are_sorted_by_the_signals() -> None:
    network = network_of(drawn())
    assert [p.name for p in network.populations] == ["input", "fast", "slow", "output"]
    assert [p.name for p in network.projections] == [
        "input_to_fast",
        "slow_to_fast",
        "up",
        "fast_to_slow",
        "input_to_output",
        "slow_to_output",
    ]
    turned = network_of(drawn(projections=PROJECTIONS[::-1], populations=POPULATIONS))
    assert turned.groups == network.groups == ((0, 1), (2,))


def test_what_a_projection_leaves_out_follows_its_two_ends() -> None:
    keys = {"HIDDEN_HIDDEN_MEAN": 0.1, "HIDDEN_HIDDENFWD_MEAN": 0.2, "HIDDEN_OUTPUT_MEAN": 0.3}
    ends = ("input", "a"), ("a", "a"), ("a", "b"), ("b", "a"), ("b", "output"), ("a", "output")
    config = drawn(
        populations=[{"name": "a"}, {"name": "b", "size": 7}],
        projections=[{"from": a, "to": b} for a, b in ends],
        INPUT_HIDDEN_MEAN=0.4,
        **keys,
    )
    found = {(p.source, p.target): p.mean for p in network_of(config).projections}
    assert found == dict(zip(ends, (0.4, 0.1, 0.2, 0.1, 0.3, 0.3), strict=True))
    assert [p.size for p in network_of(config).populations] == [5, 200, 7, 3]


def test_several_projections_between_two_populations_are_numbered() -> None:
    both = [{"from": "input", "to": "a"}, {"from": "a", "to": "output", "delay": 2}]
    config = drawn(populations=[{"name": "a", "size": 4}], projections=both * 2, NUM_HIDDEN=200)
    assert config.projections == ("input_to_a0", "input_to_a1", "a_to_output0", "a_to_output1")


def test_the_output_may_be_listed_with_its_neuron_and_be_a_source() -> None:
    config = drawn(
        populations=[*POPULATIONS, {"name": "output", "neuron": "hetLI", "train_tau": True}],
        projections=[*PROJECTIONS, {"from": "output", "to": "fast", "delay": 2.0}],
    )
    network = network_of(config)
    assert network.populations[-1].name == "output"
    assert network.populations[-1].trained == ("tau_mem", "tau_syn")
    assert network.groups == ((0, 1, 2),)


BACKENDS = pytest.mark.parametrize(
    "backend", ["numpy", pytest.param("native", marks=pytest.mark.long)]
)


@BACKENDS
def test_weights_with_a_sign_are_drawn_with_it_and_keep_it(backend: str, tmp_path: Path) -> None:
    config = drawn(N_EPOCH=1, ETA=0.2, backend=backend)
    train(config, tmp_path)
    before = initial_weights(network_of(config), 1)
    after = load_checkpoint(RunPaths(tmp_path).last)["tensors"]
    for name, sign in (("slow_to_fast", -1), ("fast_to_slow", 1)):
        values = after[name]["value"]
        assert (sign * before[name]).min() >= 0
        assert (sign * values).min() == 0  # some of them were kept from changing their sign
        assert not (values == before[name]).all()
    assert np.ptp(np.sign(after["up"]["value"])) == 2


DELAYS: dict[str, tuple[Any, tuple[int, int], float]] = {
    "a number": (3.0, (5, 1), 3.0),
    "axonal, a list": ({"start": [0, 1, 2, 3, 4]}, (5, 1), 4.0),
    "dendritic": ({"kind": "dendritic", "start": [1, 2], "max": 9}, (1, 2), 9.0),
    "synaptic": ({"kind": "synaptic", "start": [[1, 2]] * 5}, (5, 2), 2.0),
    "learned": ({"max": 12.5, "train": True}, (5, 1), 12.5),
    "half-normal": ({"start": {"half_normal": 9}, "max": 10, "kind": "synaptic"}, (5, 2), 10.0),
    "normal": ({"start": {"normal": [2, 4]}, "max": 3, "kind": "synaptic"}, (5, 2), 3.0),
}


@pytest.mark.parametrize("name", DELAYS)
def test_a_delay_is_a_number_a_list_or_drawn(name: str) -> None:
    given, shape, most = DELAYS[name]
    ends = [{"from": "input", "to": "a", "delay": given}, {"from": "a", "to": "output"}]
    network = network_of(drawn(populations=[{"name": "a", "size": 2}], projections=ends))
    delays = network.projections[0].delays
    assert delays is not None
    assert (delays.start.shape, delays.most, delays.trained) == (shape, most, "learn" in name)
    assert 0 <= delays.start.min() <= delays.start.max() <= most
    if "normal" in name:  # as much as is drawn beyond what is allowed is put there
        assert {0.0, 3.0} <= set(delays.start.flat) or delays.start.max() == 10
        assert len(set(delays.start.flat)) > 2


def test_delays_are_drawn_from_a_stream_of_their_own() -> None:
    with_delays, without = (
        drawn(),
        drawn(projections=[{k: v for k, v in p.items() if k != "delay"} for p in PROJECTIONS]),
    )
    one, other = (initial_weights(network_of(c), 1) for c in (with_delays, without))
    assert all((one[name] == other[name]).all() for name in one)
    starts = [network_of(c).projections[2].delays for c in (with_delays, drawn(MODEL_SEED=2))]
    assert (starts[0].start != starts[1].start).all()


def test_delays_come_from_a_file(tmp_path: Path) -> None:
    np.save(tmp_path / "delays.npy", np.arange(5.0)[:, None])
    ends = [
        {"from": "input", "to": "a", "delay": {"start": str(tmp_path / "delays.npy")}},
        {"from": "a", "to": "output"},
    ]
    network = network_of(drawn(populations=[{"name": "a", "size": 2}], projections=ends))
    delays = network.projections[0].delays
    assert delays is not None
    assert delays.start[:, 0].tolist() == [0, 1, 2, 3, 4]


RECORDED: dict[str, Any] = {
    "N_EPOCH": 2,
    "ETA_DELAY": 0.3,
    "ETA_DELAY_DECAY": 0.5,
    "DELAY_WIDTH": 3.0,
    "DELAY_WIDTH_DECAY": 0.5,
    "REC_SYNAPSES": [["up", "d"], ["slow_to_fast", "g"]],
    "REC_SYNAPSES_EPOCH_TRIAL": [[0, 1], [1, 0]],
    "DELAY_OUTPUT_EPOCH_TRIAL": [[0, 0]],
    "REC_SPIKES": ["hidden"],
    "REC_SPIKES_EPOCH_TRIAL": [[1, 0]],
}


@BACKENDS
def test_delays_learn_at_their_rate_and_are_recorded(backend: str, tmp_path: Path) -> None:
    train(drawn(**RECORDED, backend=backend), tmp_path)
    run = load_run(tmp_path)
    assert run.weights(0, 0) == {}
    assert {k: v.shape for k, v in run.delays(0, 0).items()} == {
        "up": (12, 9),
        "fast_to_slow": (12, 1),
    }
    assert (run.delays(0, 0)["fast_to_slow"] == 1.5).all()
    assert list(run.weights(0, 1)) == ["slow_to_fast"]
    first, second = (run.delays(0, trial)["up"] for trial in (0, 1))
    moved = np.abs(second - first)[(first > 0) & (first < 6)]
    assert moved.max() == pytest.approx(0.3, rel=1e-3)  # Adam's first step is its rate
    third = run.delays(1, 0)["up"]
    assert third.min() >= 0
    assert third.max() <= 6
    assert run.spikes(epoch=1, trial=0, population="slow").counts().sum() > 0


@BACKENDS
def test_a_graph_that_was_stopped_goes_on_to_the_same_bits(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = drawn(**RECORDED, W_OUTPUT_EPOCH_TRIAL=[[1, 1]], backend=backend)
    train(config, tmp_path / "whole")
    assert stopped_at(4, config, tmp_path / "parts", monkeypatch)
    assert load_checkpoint(RunPaths(tmp_path / "parts").last)["epoch"] < 2
    train(config, tmp_path / "parts", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_configuration_of_a_graph_can_be_given_back() -> None:
    config = drawn()
    assert from_dict(config.to_dict()) == config


def test_all_stands_for_every_projection_and_hidden_for_every_hidden_population() -> None:
    config = drawn(REC_SYNAPSES=[["all", "g"]], REC_NEURONS=[["hidden", "V"]])
    assert [name for name, _ in config.REC_SYNAPSES] == list(config.projections)
    assert config.REC_NEURONS == (("fast", "V"), ("slow", "V"))


def test_the_program_shows_the_graph_as_text() -> None:
    dropped = {"from": "fast", "to": "fast", "name": "own", "dropout": 0.25}
    text = program(drawn(projections=[*PROJECTIONS, dropped])).describe()
    for line in (
        "5-12r-9-3, 7 projections, ",
        "population slow: 9 x alif",
        "    own from fast, trained, in training: dropped with probability 0.25",
        "    slow_to_fast from slow, trained, weights <= 0",
        "    up from fast, trained, synaptic delays of 0.0",
        " ms, trained within 0 to 6 ms",
        "    fast_to_slow from fast, trained, weights >= 0, axonal delays of 1.5 ms",
    ):
        assert line in text
