"""`snnrun gradcheck`: what it takes from the configuration, and what it says."""

from __future__ import annotations

import re
from typing import Any

import pytest

from snnrun.config import from_dict
from snnrun.errors import ConfigError, NumericalError
from snnrun.gradcheck import _small_network, check_gradients
from snnrun.testing import comparison

FINE = (0.004,)
RECURRENT = {
    "dataset": "shd",
    "RECURRENT": True,
    "HIDDEN_NEURON_TYPE": "hetLIF",
    "TAU_REF": 1.5,
    "TRAIN_TAU": True,
    "TRAIN_W_OUTPUT": False,
    "MODEL_SEED": 2,
}


@pytest.mark.long
def test_the_default_configuration_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_gradients(from_dict({"dataset": "yinyang", "MODEL_SEED": 1}), (0.02, 0.004))
    said = capsys.readouterr().out
    assert said.startswith("6-5-3 of lif, lif; loss first_spike_exp; integrator exact; 24 ms")
    assert "weights as the configuration draws them" in said
    assert re.search(r"\nin_to_hid( +\d\.\de-\d\d){2} +30 +0\n", said)
    assert re.search(r"\nhid_to_out( +\d\.\de-\d\d){2} +15 +0\n", said)
    assert said.splitlines()[-1].startswith("passed")


@pytest.mark.long
def test_what_is_trained_is_compared_and_other_weights_are_announced(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert check_gradients(from_dict(RECURRENT), FINE)
    said = capsys.readouterr().out
    assert "6-5r-3 of lif, li; loss sum_weigh_exp" in said
    assert "in_to_hid: mean 0.6" in said
    assert "(configuration: 0.078, 0.045)" in said
    names = [
        line.split()[0] for line in said.splitlines() if re.search(r"\de-\d\d +\d+ +\d+", line)
    ]
    assert names == ["loss", "in_to_hid", "hid_to_hid", "hidden.tau_mem", "hidden.tau_syn"]


@pytest.mark.long
def test_differences_that_are_too_large_do_not_pass(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "LIMIT", 1e-5)  # test_check_model.py has wrong derivations
    monkeypatch.setattr(comparison, "NEAR", 0.0)
    assert not check_gradients(from_dict({"dataset": "yinyang", "MODEL_SEED": 1}), FINE)
    said = capsys.readouterr().out
    assert re.search(r"\nin_to_hid .*FAILED\n", said)
    assert said.splitlines()[-1].startswith("FAILED")


def test_the_network_is_the_configurations_made_small() -> None:
    own = {"v_reset": [0.1 * (i % 3) for i in range(64)]}
    options = {"name": "recurrent", "hidden_parameters": own}
    config = from_dict(RECURRENT | {"NUM_HIDDEN": 64, "N_HID_LAYER": 2, "network": options})
    network = _small_network(config)
    assert network.shape == "6-5r-5r-3"
    for layer in network.layers[:-1]:
        population = layer.population
        assert population.trained == ("tau_mem", "tau_syn")
        assert population.values["t_ref"] == 1.5
        assert list(population.values["v_reset"]) == own["v_reset"][:5]
    assert not network.layers[-1].forward.trained


def test_nothing_trained_is_refused() -> None:
    config = from_dict({"dataset": "yinyang", "TRAIN_W": False})
    with pytest.raises(ConfigError, match="nothing is trained"):
        check_gradients(config)


GRAPH = {
    "dataset": "yinyang",
    "MODEL_SEED": 1,
    "network.populations": [
        {"name": "a", "size": 100, "parameters": {"v_reset": [0.1] * 100}},
        {"name": "b", "shape": [4, 4, 2]},
    ],
    "network.projections": [
        {"from": "input", "to": "a", "delay": {"start": [1, 2, 3, 4, 5], "max": 25, "train": True}},
        {"from": "a", "to": "b", "connectivity": {"kind": "sparse", "fan_in": 9}},
        {"from": "b", "to": "a", "sign": "inhibitory"},
        {"from": "b", "to": "output", "delay": 2},
        {"from": "a", "to": "output"},
    ],
}


def test_a_graph_is_made_small_whatever_its_sizes_and_shapes() -> None:
    network = _small_network(from_dict(GRAPH))
    assert network.shape == "6-5-5-3, 5 projections"
    sparse = network.projections[2].synapses
    assert sparse is not None
    assert sparse.shape == (5, 5)
    assert [p.sign for p in network.projections] == [0, -1, 0, 0, 0]
    delays = network.projections[0].delays
    assert delays is not None
    assert (delays.start.shape, delays.most, delays.trained) == ((6, 1), 25.0, True)


@pytest.mark.long
def test_delays_of_a_graph_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_gradients(from_dict(GRAPH), FINE)
    said = capsys.readouterr().out
    assert said.startswith("6-5-5-3, 5 projections of lif, lif, lif; loss first_spike")
    assert "delays: drawn anew, up to 6 ms" in said
    assert re.search(r"\ninput_to_a_delays +\d\.\de-\d\d +6 +0\n", said)


PORTS = {
    "dataset": "yinyang",
    "MODEL_SEED": 1,
    "network": {
        "name": "ports",
        "populations": [
            {"name": "fast", "size": 60, "neuron": "LIF_exc_inh"},
            {"name": "slow", "size": 40, "neuron": "ALIF"},
        ],
        "projections": [
            {"from": "input", "to": "fast", "connectivity": {"kind": "sparse", "fan_in": 4}},
            {
                "from": "fast",
                "to": "slow",
                "connectivity": {"kind": "list", "synapses": [[59, 39]]},
            },
            {"from": "slow", "to": "fast", "port": "I", "sign": 1, "delay": {"start": [2.5] * 40}},
            {"from": "fast", "to": "output"},
            {
                "from": "slow",
                "to": "output",
                "delay": {"kind": "synaptic", "max": 5, "train": True},
            },
        ],
    },
}
CONVOLUTION = {
    "dataset": "yinyang",
    "MODEL_SEED": 1,
    "LOSS_TYPE": "sum",
    "network": {
        "name": "convolution",
        "populations": [{"name": "input", "shape": [2, 2, 1]}, {"name": "conv"}, {"name": "pool"}],
        "projections": [
            {
                "from": "input",
                "to": "conv",
                "connectivity": {"kind": "conv2d", "kernel": 3, "channels": 2, "padding": 1},
            },
            {"from": "conv", "to": "pool", "connectivity": {"kind": "sum_pool", "kernel": 2}},
            {"from": "pool", "to": "output"},
        ],
    },
}


def test_ports_signs_and_synapses_stay_in_a_small_graph() -> None:
    network = _small_network(from_dict(PORTS))
    assert [p.size for p in network.populations] == [6, 5, 5, 3]
    by_name = {p.name: p for p in network.projections}
    assert by_name["slow_to_fast"].port == "I"
    assert by_name["slow_to_fast"].sign == 1
    for name, pairs in (("input_to_fast", 30), ("fast_to_slow", 25)):
        synapses = by_name[name].synapses
        assert synapses is not None
        assert 0 < len(synapses.pre) < pairs
    assert [p.delays is not None for p in network.projections].count(True) == 2


def test_populations_with_a_shape_get_the_smallest_on_which_kernels_fit() -> None:
    network = _small_network(from_dict(CONVOLUTION))
    assert network.shape == "9-18-2-3"
    assert network.populations[1].grid == (3, 3, 2)
    assert network.projections[0].synapses is not None
    assert network.projections[0].synapses.shared


LARGE_KERNEL = {
    "dataset": "mnist",
    "MODEL_SEED": 2,
    "LOSS_TYPE": "sum",
    "network": {
        "layers": [
            {"forward": {"connectivity": {"kind": "conv2d", "kernel": 4, "channels": 2}}},
            {"forward": {"connectivity": {"kind": "sum_pool", "kernel": 2}}},
        ]
    },
}


def test_the_input_grows_until_large_kernels_fit() -> None:
    network = _small_network(from_dict(LARGE_KERNEL))
    assert network.shape == "25-8-2-3"


@pytest.mark.long
@pytest.mark.parametrize(
    "keys", [PORTS, CONVOLUTION, LARGE_KERNEL], ids=["ports", "convolution", "large kernel"]
)
def test_graphs_with_ports_sparse_and_shared_weights_pass(keys: dict[str, Any]) -> None:
    assert check_gradients(from_dict(keys), (0.02, 0.004))


@pytest.mark.long
def test_weights_that_change_nothing_are_no_disagreement() -> None:
    feedback = {
        "dataset": "yinyang",
        "MODEL_SEED": 1,
        "network": {
            "populations": [{"name": "first"}, {"name": "late"}],
            "projections": [
                {"from": "input", "to": "first"},
                {"from": "first", "to": "late", "mean": 0.5},
                {"from": "late", "to": "first", "mean": 0.0},
                {"from": "first", "to": "output", "mean": 2.0},
            ],
        },
    }
    with pytest.raises(NumericalError, match=r"agree, but .* LOSS_TYPE=sum"):
        check_gradients(from_dict(feedback), FINE)
