"""Networks that are written layer by layer (network.layers): what they become, and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from runs import here, small

from snnrun.backends.genn.describe import describe
from snnrun.backends.genn.settings import Settings
from snnrun.backends.native.emit import emit
from snnrun.commands.compose import VERSION
from snnrun.compile.program import Program
from snnrun.config import Config, conf_dir, from_dict, validate
from snnrun.datasets import load
from snnrun.errors import CheckpointError, ConfigError
from snnrun.network.build import build_network, initial_weights
from snnrun.record import load_run
from snnrun.record.paths import RunPaths
from snnrun.run import build_program, train
from snnrun.training import checkpoint

LAYERS: list[dict[str, Any]] = [
    {
        "name": "fast",
        "size": 12,
        "neuron": "ALIF",
        "parameters": {"tau_b": 40.0},
        "forward": {"mean": 2.0, "std": 0.8},
        "recurrent": {"mean": 0.0, "std": 0.1},
    },
    {
        "size": 9,
        "neuron": "snnrun.models.neurons.LIF",
        "train_tau": True,
        "forward": {"name": "up", "mean": 2.0, "std": 0.9, "rule": "frozen"},
    },
    {"name": "output", "forward": {"mean": 0.5}},
]


def layered(layers: list[dict[str, Any]] = LAYERS, **keys: Any) -> Config:
    whole = isinstance(layers, list) and all(isinstance(layer, dict) for layer in layers)
    hidden = [layer for layer in layers if layer.get("name") != "output"] if whole else [{}]
    unused = {"NUM_HIDDEN": 200} if all("size" in layer for layer in hidden) else {}
    return small(**{"network.layers": layers, **unused, **keys})


def program(config: Config) -> Program:
    return build_program(config, load(config))


SAME = {
    "one": ({}, [{}]),
    "recurrent": ({"RECURRENT": True}, [{"recurrent": True}]),
    "three": (
        {"N_HID_LAYER": 3, "RECURRENT": True, "HIDDEN_HIDDENFWD_STD": 0.3, "TRAIN_TAU": True},
        [{"train_tau": True, "recurrent": True, "forward": {"std": s}} for s in (0.78, 0.3, 0.3)],
    ),
    "frozen": (
        {"TRAIN_W": False},
        [{"forward": {"rule": "frozen"}}, {"name": "output", "forward": {"rule": "frozen"}}],
    ),
    "read-out only": (
        {"RECURRENT": True, "HIDDEN_NEURON_TYPE": "hetLIF"},
        [{"neuron": "hetLIF", "size": 30, "recurrent": {}}, {"name": "output"}],
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_a_network_by_layers_is_the_one_by_keys(name: str) -> None:
    keys, layers = SAME[name]
    by_keys, by_layers = program(small(**keys)), program(layered(layers))
    assert by_layers.fingerprint == by_keys.fingerprint
    assert emit(by_layers, "float32") == emit(by_keys, "float32")
    weights = [initial_weights(p.network, 1) for p in (by_keys, by_layers)]
    assert weights[0].keys() == weights[1].keys()
    assert all((weights[0][k] == weights[1][k]).all() for k in weights[0])


def test_each_layer_has_its_own_size_neuron_parameters_and_projections() -> None:
    network = build_network(layered(), n_inputs=5, n_outputs=3)
    assert network.shape == "5-12r-9-3"
    assert [p.name for p in network.populations] == ["input", "fast", "hidden1", "output"]
    assert [p.name for p in network.projections] == [
        "in_to_hid0",
        "hid_to_hid0",
        "up",
        "hid_to_out",
    ]
    assert [p.trained for p in network.projections] == [True, True, False, True]
    assert [(p.mean, p.std) for p in network.projections] == [
        (2.0, 0.8),
        (0.0, 0.1),
        (2.0, 0.9),
        (0.5, 0.1),
    ]
    fast, second, _ = (layer.population for layer in network.layers)
    assert fast.values["tau_b"] == 40.0
    assert (fast.trained, second.trained) == ((), ("tau_mem", "tau_syn"))


def test_what_a_layer_leaves_out_comes_from_the_keys() -> None:
    keys = {"RECURRENT": True, "HIDDEN_NEURON_TYPE": "LIF_subtract", "HIDDEN_HIDDEN_MEAN": 0.3}
    layers = [{"size": 4}, {"recurrent": False, "neuron": None}]
    network = build_network(layered(layers, **keys), n_inputs=5, n_outputs=3)
    first, second, _ = network.layers
    assert first.recurrent is not None
    assert first.recurrent.mean == 0.3
    assert second.recurrent is None
    assert second.population.size == 30
    assert second.population.neuron is not None
    assert second.population.neuron.name == "lif_subtract"


def test_a_layer_of_the_gists_kind_wraps_any_projection() -> None:
    """LIF(Dense(5 => 20)), LIF(RNN(20 => 8)), read out: recurrence is one more projection."""
    text = [
        {"size": 20, "neuron": "LIF", "forward": {"mean": 0.0, "std": 0.5}},
        {"size": 8, "neuron": "LIF", "forward": {"std": 0.3}, "recurrent": {"std": 0.3}},
    ]
    network = build_network(layered(text), n_inputs=5, n_outputs=3)
    assert network.shape == "5-20-8r-3"


@pytest.mark.long
def test_only_what_is_trained_changes_and_everything_named_is_recorded(tmp_path: Path) -> None:
    config = layered(
        N_EPOCH=2,
        REC_SPIKES=["fast", "hidden1"],
        REC_NEURONS=[["fast", "B"], ["hidden1", "V"]],
        REC_SYNAPSES=[["up", "g"], ["hid_to_hid0", "g"]],
        REC_NEURONS_EPOCH_TRIAL=[[1, 0]],
        REC_SYNAPSES_EPOCH_TRIAL=[[0, 0], [1, 0]],
        REC_SPIKES_EPOCH_TRIAL=[[1, 0]],
    )
    train(config, tmp_path)
    run = load_run(tmp_path)
    for name in ("fast", "hidden1"):
        assert run.spikes(epoch=1, trial=0, population=name).counts().sum() > 0
    before = initial_weights(build_network(config, 5, 3), 1)
    after = checkpoint.load(RunPaths(tmp_path).last)["tensors"]
    changed = {
        name: bool((before[name].astype("f4") != after[name]["value"]).any()) for name in before
    }
    assert changed == {"in_to_hid0": True, "hid_to_hid0": True, "up": False, "hid_to_out": True}
    assert "first" not in after["up"]
    taus = after["hidden1_parameters"]["value"]
    assert np.ptp(taus, axis=1).min() > 0
    assert plain_config(run)["layers"][1]["forward"] == LAYERS[1]["forward"]


def plain_config(run: Any) -> dict[str, Any]:
    return dict(run.config["network"])


@pytest.mark.long
def test_a_checkpoint_is_not_for_other_layers(tmp_path: Path) -> None:
    train(layered(N_EPOCH=1, OUT_DIR=str(tmp_path)), tmp_path / "outputs" / "one")
    other = [{**LAYERS[0], "size": 13}, *LAYERS[1:]]
    keys = {"N_EPOCH": 1, "LOAD_LAST": True, "OUT_DIR": str(tmp_path)}
    with pytest.raises(CheckpointError, match="made for another network"):
        train(layered(other, **keys), tmp_path / "outputs" / "two")


def test_genn_is_told_the_same_network() -> None:
    text = str(describe(program(layered()), Settings(batch=1, precision="float32", spikes=50)))
    assert "name='fast'" in text
    assert "name='up'" in text


def test_hidden_stands_for_every_layer_between_input_and_output() -> None:
    config = layered(REC_SPIKES=["hidden"], REC_NEURONS=[["hidden", "V"]])
    assert config.REC_SPIKES == ("fast", "hidden1")
    assert config.REC_NEURONS == (("fast", "V"), ("hidden1", "V"))


def test_a_number_that_another_layer_has_is_left_out() -> None:
    assert layered([{"name": "hidden1"}, {}]).populations == (
        "input",
        "hidden1",
        "hidden2",
        "output",
    )


REFUSED = {
    "network.layers=3: must be a list of layers": 3,
    "network.layers[0]=5: must be a mapping of name, size, shape, neuron": [5],
    "network.layers[1].forward.std=-1: must be a number >= 0": [{}, {"forward": {"std": -1}}],
    "network.layers[0].forward.men: there is no such field. Did you mean 'mean'?": [
        {"forward": {"men": 1}}
    ],
    "network.layers[0].sise: there is no such field. Did you mean 'size'?": [{"sise": 1}],
    "network.layers[0].size=0: must be a whole number >= 1": [{"size": 0}],
    "network.layers[0].neuron=ALF: must be one of LIF, hetLIF, ALIF, LIF_subtract, LIF_exc_inh": [
        {"neuron": "ALF"}
    ],
    "network.layers[1].neuron=LIF: must be one of LI, hetLI": [
        {},
        {"name": "output", "neuron": "LIF"},
    ],
    "network.layers[0].forward.rule=frozn: must be one of": [{"forward": {"rule": "frozn"}}],
    "network.layers[0].recurrent=5: must be true, false or a mapping": [{"recurrent": 5}],
    "network.layers[0].train_tau=5: must be true or false": [{"train_tau": 5}],
    "network.layers[0].parameters=5: must be a mapping": [{"parameters": 5}],
    "network.layers[0].name=a__b: must be a name of letters": [{"name": "a__b"}],
    "network.layers[1].name=a: names are given once": [{"name": "a"}, {"name": "a"}],
    "network.layers[0].name=input: names are given once": [{"name": "input"}],
    "network.layers[0].forward.name=hid_to_out: names are given once": [
        {"forward": {"name": "hid_to_out"}}
    ],
    "network.layers[0].name=output: the output is the last layer": [{"name": "output"}, {}],
    "network.layers[0].name=output: at least one layer": [{"name": "output"}],
    "network.layers[1].size=3: the data decide": [{}, {"name": "output", "size": 3}],
    "network.layers[1].recurrent: the output has no": [{}, {"name": "output", "recurrent": True}],
}


@pytest.mark.parametrize("message", REFUSED)
def test_mistakes_are_told_with_their_place(message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        layered(REFUSED[message])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"N_HID_LAYER": 2}, "N_HID_LAYER=2: has no effect unless network.layers is []"),
        ({"NUM_HIDDEN": 7}, "NUM_HIDDEN=7: has no effect, as each hidden layer of network.layers"),
        ({"REC_SPIKES": ["hiddn1"]}, "there are input, fast, hidden1, output. Did you mean"),
        ({"REC_SYNAPSES": [["hid_to_hidfwd0", "g"]]}, "in_to_hid0, hid_to_hid0, up, hid_to_out"),
        ({"REC_NEURONS": [["hidden", "Q"]]}, "ALIF has no variable Q; it has V, I, B"),
        ({"REWIRE_SILENT": True}, "change weights that are frozen (up)"),
    ],
)
def test_other_keys_are_held_against_the_layers(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        layered(**keys)
    assert message in str(caught.value)


def test_keys_that_no_layer_takes_are_refused_and_those_that_one_takes_are_not() -> None:
    for keys, field in (
        ({"HIDDEN_NEURON_TYPE": "ALIF"}, {"neuron": "LIF"}),
        ({"RECURRENT": True}, {"recurrent": False}),
        ({"TRAIN_TAU": True}, {"train_tau": False}),
    ):
        (name,) = keys
        with pytest.raises(ConfigError, match=f"{name}=.*has its own {next(iter(field))}; leave"):
            layered([field, {"size": 3, **field}, {"name": "output"}], **keys)
        layered([field, {"size": 3}], **keys)


def test_unknown_parameters_and_objects_are_told_with_their_place() -> None:
    for layer, message in (
        ({"parameters": {"tau_q": 1}}, r"network.layers\[0\].parameters.tau_q: neuron lif has no"),
        ({"neuron": "no.such.neuron"}, r"network.layers\[0\].neuron=no.such.neuron"),
    ):
        with pytest.raises(ConfigError, match=message):
            build_network(layered([layer]), n_inputs=5, n_outputs=3)
    with pytest.raises(ConfigError, match=r"TAU_B=30\.0: has no effect, as neuron lif has no"):
        build_network(layered([{}, {"size": 3}], TAU_B=30.0), n_inputs=5, n_outputs=3)
    build_network(layered(TAU_B=30.0), n_inputs=5, n_outputs=3)  # of the ALIF layer


@pytest.mark.long
def test_yaml_and_the_command_line_give_layers(tmp_path: Path) -> None:
    (tmp_path / "network").mkdir()
    (tmp_path / "network" / "mine.yaml").write_text(
        "# @package _global_\nnetwork:\n  name: mine\n  layers:\n"
        "    - {size: 6, forward: {std: 1.0}}\n    - {size: 5, recurrent: true}\n"
    )
    done = here(
        "train",
        "--config-dir",
        str(tmp_path),
        "preset=none",
        "network=mine",
        "+network.integrator=exact",
        "N_TRAIN=40",
        "N_VALIDATE=20",
        "N_TEST=20",
        "N_EPOCH=1",
        f"OUT_DIR={tmp_path}",
        "network.layers.1.size=7",
        "network.layers.1.name=second",
        "HIDDEN_HIDDENFWD_STD=0.5",
    )
    assert done.returncode == 0, done.stderr
    (folder,) = {file.parent for file in (tmp_path / "outputs").glob("**/run.h5")}
    layers = load_run(folder).config["network"]["layers"]
    assert [layer["size"] for layer in layers] == [6, 7]
    assert layers[1]["name"] == "second"


def test_the_example_of_the_files_is_a_network_with_two_kinds_of_layers() -> None:
    with initialize_config_dir(str(conf_dir()), **VERSION):
        config = validate(compose("config", ["network=layers", "preset=none"]))
    assert build_network(config, n_inputs=5, n_outputs=3).shape == "5-128r-64-3"
    assert [layer.forward.rule for layer in config.layers] == ["eventprop", "frozen", "eventprop"]


def test_a_configuration_with_layers_can_be_given_back() -> None:
    config = layered()
    assert from_dict(config.to_dict()) == config
