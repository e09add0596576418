"""The configuration as a whole: complete, read-only, and every problem in one message."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from snnrun.config import Config, from_dict, validate
from snnrun.errors import ConfigError
from snnrun.schema import DATASETS, SCHEMA


def refusal(source: Any) -> str:
    """Return the message with which a configuration is refused."""
    with pytest.raises(ConfigError) as caught:
        validate(source)
    return str(caught.value)


def refusal_of(source: Any) -> str:
    """Return the message with which a configuration is refused, or nothing if it is accepted."""
    try:
        validate(source)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_defaults_of_every_data_set_are_right(dataset: str) -> None:
    config = from_dict({"dataset": dataset})
    assert config.dataset.name == dataset
    assert {n for n in config if n.isupper()} == {n for n in SCHEMA if n.isupper()}


def test_derived_values_follow_from_the_keys() -> None:
    config = from_dict({"dataset": "yinyang", "N_BATCH": 10, "MODEL_SEED": 7})
    assert config.steps == 300
    assert (config.N_TRAIN, config.N_VALIDATE, config.N_TEST) == (10000, 250, 250)
    assert config.SPK_REC_STEPS == 300
    assert config.populations == ("input", "hidden", "output")
    assert config.projections == ("in_to_hid", "hid_to_out")


def test_layers_and_projections_are_numbered_where_there_are_several() -> None:
    config = from_dict({"N_HID_LAYER": 2, "RECURRENT": True})
    assert config.populations == ("input", "hidden0", "hidden1", "output")
    assert config.projections == (
        "in_to_hid0",
        "hid_to_hid0",
        "hid_to_hidfwd0",
        "hid_to_hid1",
        "hid_to_out",
    )
    assert config.network.name == "recurrent"


def test_a_null_seed_is_drawn_and_a_given_one_kept() -> None:
    drawn = {from_dict({"MODEL_SEED": None}).MODEL_SEED for _ in range(8)}
    assert len(drawn) > 1
    assert from_dict({"MODEL_SEED": 3}).MODEL_SEED == 3


def test_all_that_remains_stays_open() -> None:
    config = from_dict({"dataset": "shd", "N_TRAIN": None})
    assert config.N_TRAIN is None
    assert config.N_TEST is None


def test_a_configuration_cannot_be_changed() -> None:
    config = from_dict({})
    with pytest.raises(AttributeError, match="cannot be changed"):
        config.ETA = 1.0
    with pytest.raises(AttributeError, match="cannot be changed"):
        config.backend.threads = 1
    with pytest.raises(TypeError):
        config.AUGMENTATION["random_shift"] = 3
    with pytest.raises(AttributeError, match="Did you mean 'ETA'"):
        _ = config.ETAA
    assert config.get("ETAA", 5) == 5


def test_a_configuration_survives_copies_pickles_and_json() -> None:
    config = from_dict({"dataset": "shd", "REC_SPIKES": ["hidden"], "MODEL_SEED": 1})
    assert copy.deepcopy(config) == config
    assert pickle.loads(pickle.dumps(config)) == config
    again = validate(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert again != from_dict({"dataset": "shd"})
    assert "REC_SPIKES" in repr(config)


@pytest.mark.parametrize("dataset", DATASETS)
def test_what_a_configuration_says_of_itself_makes_the_same_one(dataset: str) -> None:
    batch = {} if dataset == "pattern" else {"N_BATCH": 7}
    for keys in ({}, {"DT_MS": 0.5, "MODEL_SEED": 2, **batch}):
        config = from_dict({"dataset": dataset, **keys})
        assert validate(config.to_dict()) == validate(config) == config
    with pytest.raises(ConfigError, match="SPK_REC_STEPS=7: has no effect"):
        validate({**config.to_dict(), "SPK_REC_STEPS": 7})


def test_every_problem_is_in_one_message() -> None:
    message = refusal(
        {
            "dataset": {"name": "shd", "pth": "x"},
            "ETAA": 3,
            "DT_MS": -1,
            "SHUFFLE": 1,
            "V_RESET": 2,
            "AVG_SNSUM": True,
            "B_INCR": 0.3,
            "REC_SPIKES": ["hiden"],
        }
    )
    first, *lines = message.splitlines()
    assert first == "8 problems in the configuration:"
    for expected in (
        "dataset.pth: there is no such key. Did you mean 'dataset.path'?",
        "ETAA: there is no such key. Did you mean 'ETA'?",
        "DT_MS=-1: must be a number > 0 (ms)",
        "SHUFFLE=1: must be true or false",
        "V_RESET=2: must be below V_THRESH=1",
        "AVG_SNSUM=true: has no effect unless REG_TYPE is not none",
        "B_INCR=0.3: has no effect unless HIDDEN_NEURON_TYPE is ALIF",
        "REC_SPIKES=hiden: there is no such population; there are input, hidden, output.",
    ):
        assert sum(expected in line for line in lines) == 1


RULES = [
    (
        {"TAU_OUTPUT_EPOCH_TRIAL": [[0, 0]]},
        "TAU_OUTPUT_EPOCH_TRIAL=[[0, 0]]: no time constant differs from neuron to neuron; train",
    ),
    ({"TAU_OUTPUT_EPOCH_TRIAL": [[0, 9999]], "TRAIN_TAU": True}, "there is no trial 9999"),
    (
        {
            "LOSS_TYPE": "sum_weigh_input",
            "TAU_ACCUMULATOR": 0.08,
            "network": {"integrator": "euler"},
        },
        "DT_MS=0.1: network.integrator=euler needs steps shorter than TAU_ACCUMULATOR=0.08 ms",
    ),
    ({"LOSS_TYPE": "relative_mse", "DELTA_T": 0}, "DELTA_T=0: must be a number > 0 (ms)"),
    ({"TRIAL_MS": 30.05}, "TRIAL_MS=30.05: must be a whole number of steps of DT_MS=0.1"),
    ({"TRIAL_MS": 0.01}, "use TRIAL_MS=0.1"),
    ({"DT_MS": 1e-4}, "more than 65535"),
    ({"dataset": "shd", "DT_MS": 1e-300, "TRIAL_MS": 1e300}, "must be a whole number of steps"),
    ({"REC_SPIKES": ["hidden"], "SPK_REC_STEPS": 301}, "at most the 300 steps"),
    ({"V_RESET": 1.0}, "V_RESET=1: must be below V_THRESH=1"),
    ({"TAU_REF": 0.04}, "TAU_REF=0.04: less than half a step"),
    ({"TAU_1": 0.1}, "TAU_1=0.1: exp(TRIAL_MS/TAU_1) overflows"),
    ({"network.integrator": "euler", "DT_MS": 6.0}, "shorter than TAU_SYN=5 ms"),
    ({"TRAIN_TAU": True, "TAU_MEM": 2.0}, "TAU_MEM=2: must be at least MIN_TAU_M=3"),
    ({"N_TRAIN": "0 mini-batches"}, "training needs at least one example"),
    ({"dataset": "shd", "N_TRAIN": None, "N_VALIDATE": None}, "only one of them"),
    ({"dataset": "ssc", "EVALUATION": "random"}, "only one of them"),
    ({"EVALUATION": "validation_set"}, "yinyang has no validation set of its own, as ssc has"),
    ({"dataset": "shd", "EVALUATION": "validation_set"}, "shd has no validation set of its own"),
    ({"N_TEST": None}, "N_TEST=null: yinyang is generated"),
    ({"dataset.path": "/data"}, "dataset.path=/data: has no effect, since yinyang is generated"),
    ({"dataset.fetch": False}, "dataset.fetch=false: has no effect"),
    ({"LOAD_LAST": True, "LOAD_BEST": True}, "only one checkpoint"),
    ({"LOSS_TYPE": "max", "REC_SPIKES": ["output"]}, "the outputs do not spike"),
    ({"REC_NEURONS": [["input", "V"]]}, "the input has no variables"),
    ({"REC_NEURONS": [["hidden", "B"]]}, "LIF has no variable B; it has V, I"),
    ({"REC_NEURONS": [["middle", "V"]]}, "REC_NEURONS=middle: there is no such population"),
    ({"REC_SYNAPSES": [["in_to_hid", "w"]]}, "they have g, the weight"),
    ({"REC_SYNAPSES": [["hid_to_hid", "g"]]}, "there are in_to_hid, hid_to_out"),
    ({"W_OUTPUT_EPOCH_TRIAL": [[10, 0]]}, "there is no epoch 10"),
    ({"W_OUTPUT_EPOCH_TRIAL": [[-11, 0]]}, "there is no epoch -11"),
    ({"W_OUTPUT_EPOCH_TRIAL": [[0, 1025]]}, "an epoch has 1025 mini-batches"),
    ({"N_EPOCHS": 3, "N_EPOCH": 4}, "N_EPOCHS=3: another spelling of N_EPOCH, which is 4"),
    ({"dataset": [1]}, "dataset=[1]: must be a group of options with a name"),
    (
        {"dataset": "iris"},
        "dataset.name=iris: must be one of dvs, evidence_accumulation, mnist, nmnist, pattern, "
        "pattern_generation, sequence_toy, shd, smnist, "
        "ssc, yinyang ",
    ),
]


@pytest.mark.parametrize(("source", "fragment"), RULES, ids=lambda r: str(r)[:50])
def test_values_that_do_not_go_together_are_refused(source: dict[str, Any], fragment: str) -> None:
    message = refusal(source)
    assert fragment in message
    assert "\n" not in message  # one mistake, one problem


ALLOWED: list[dict[str, Any]] = [
    {"TRIAL_MS": 30.1},
    {"REC_SPIKES": ["output"]},
    {"REC_SPIKES": ["output"], "OUTPUT_NEURON_TYPE": "mylab.neurons.spiking", "LOSS_TYPE": "max"},
    {"REC_NEURONS": [["hidden", "B"]], "HIDDEN_NEURON_TYPE": "ALIF"},
    {"REC_NEURONS": [["hidden", "w"]], "HIDDEN_NEURON_TYPE": "mylab.neurons.slow"},
    {"N_VALIDATE": 0, "CHECKPOINT_BEST": "training"},
    {"dataset": "shd", "N_VALIDATE": 0, "CHECKPOINT_BEST": "training"},  # no change in 100 epochs
    {"TRAIN_TAU": True, "MIN_TAU_M": 2.0},
    {"HIDDEN_NEURON_TYPE": "LIF_subtract", "V_RESET": -1.0},  # the outputs use it
    {"W_OUTPUT_EPOCH_TRIAL": [[9, 1024], [-10, 0]]},
    {"dataset": "shd", "N_TRAIN": None, "W_OUTPUT_EPOCH_TRIAL": [[0, 5000]]},
    {"N_EPOCHS": 3, "N_EPOCH": 10},  # 10 is the default
    {"network": {"hidden_parameters": {"tau_adapt": 3}}},
]


@pytest.mark.parametrize("source", ALLOWED, ids=str)
def test_values_that_go_together_are_accepted(source: dict[str, Any]) -> None:
    assert isinstance(from_dict(source), Config)


def test_the_other_spelling_of_a_key_sets_it() -> None:
    assert from_dict({"N_EPOCHS": 3}).N_EPOCH == 3


def test_names_of_records_are_spelled_out() -> None:
    config = from_dict(
        {
            "N_HID_LAYER": 2,
            "RECURRENT": True,
            "N_EPOCH": 5,
            "REC_SPIKES": ["hidden", "hidden1"],
            "REC_NEURONS": [["hidden", "V"], ["output", "V"]],
            "REC_SYNAPSES": [["hid_to_hid", "g"], ["hid_to_hidfwd0", "g"], ["in_to_hid", "g"]],
            "REC_SPIKES_EPOCH_TRIAL": [[-1, 2], [0, 0], [4, 2]],
        }
    )
    assert config.REC_SPIKES == ("hidden0", "hidden1")
    assert config.REC_NEURONS == (("hidden0", "V"), ("hidden1", "V"), ("output", "V"))
    names = [name for name, _ in config.REC_SYNAPSES]
    assert names == ["hid_to_hid0", "hid_to_hid1", "hid_to_hidfwd0", "in_to_hid0"]
    assert config.REC_SPIKES_EPOCH_TRIAL == ((0, 0), (4, 2))


def test_a_data_set_of_the_users_has_options_of_its_own() -> None:
    source = {"dataset": {"name": "mylab.data.gestures", "speed": 3}}
    config = from_dict(source)
    assert config.dataset.speed == 3
    assert config.dataset.merge is True
    assert "speed" in config.to_dict()["dataset"]
    assert "dataset.speed" in refusal({"dataset": {"name": "shd", "speed": 3}})


def test_what_hydra_composes_is_read() -> None:
    composed = OmegaConf.create({"dataset": {"name": "mnist"}, "ETA": "${ADAM_EPS}"})
    composed.ADAM_EPS = "1e-3"
    assert from_dict({"dataset": "mnist"}).ETA != validate(composed).ETA == 1e-3


def test_references_that_lead_nowhere_are_refused() -> None:
    assert "cannot be resolved" in refusal(OmegaConf.create({"ETA": "${NOWHERE}"}))
    assert "a configuration is a mapping" in refusal(OmegaConf.create([1]))
    assert "ETA has no value" in refusal(OmegaConf.create({"ETA": "???"}))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([v for k in SCHEMA.values() for v in k.choices])
    | st.sampled_from(["hidden", "input", "V", "g", "a.b", "???", "3 mini-batches"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(sorted(SCHEMA)) | st.text(max_size=6), VALUES, max_size=5))
def test_whatever_is_given_is_accepted_or_refused_in_words(source: dict[str, Any]) -> None:
    if refusal_of(source):
        return
    config = from_dict(source)
    json.dumps(config.to_dict(), allow_nan=False)
    assert 1 <= config.steps <= 65535


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(SCHEMA)), VALUES)
def test_a_wrong_value_is_named_with_its_key(name: str, value: Any) -> None:
    message = refusal_of({name: value})
    inside = f"{name}." in message or f"{name}[" in message  # an entry of it
    named = name in message.replace("=", " ").split() or inside
    assert not message or named
