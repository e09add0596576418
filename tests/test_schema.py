"""The table of keys: defaults of the reference, types, bounds, and what is refused for now."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from snnrun.config import from_dict
from snnrun.errors import ConfigError
from snnrun.keys.kinds import ALL_OR_NAMES, BOOL, COUNT, FLOAT, INT, TEXT, plain
from snnrun.rules import RULES
from snnrun.schema import ALIASES, DATASETS, KEYS, SCHEMA, Key
from snnrun.schema.effect import OF_FILES
from snnrun.schema.hints import unknown_key

TABLE = list(csv.DictReader((Path(__file__).parent / "parameters.csv").open()))
WORDS = {"True": True, "False": False, "None": None, "[]": [], "{}": {}, "[0]": [0]}


def table_value(row: dict[str, str]) -> Any:
    """Return a default of the reference's table as a Python value."""
    text = row["default"]
    if text in WORDS:
        return WORDS[text]
    if text.startswith('"'):
        return text.strip('"')
    if text == "TRIAL_MS/DT_MS":
        return None  # which stands for it
    return text if "mini-batches" in text else float(text)


# The one default that is not the table's: a run called "test" would be taken for the test of one.
OTHERWISE = {"NAME": ("test", "unnamed")}


@pytest.mark.parametrize("row", TABLE, ids=lambda r: f"{r['benchmark']}-{r['name']}")
def test_defaults_are_those_of_the_references_table(row: dict[str, str]) -> None:
    key = KEYS[ALIASES.get(row["name"], row["name"])]
    theirs = table_value(row)
    if row["name"] in OTHERWISE:
        assert OTHERWISE[row["name"]] == (theirs, plain(key.default_of(row["benchmark"])))
        return
    assert plain(key.default_of(row["benchmark"])) == theirs


def test_the_references_table_covers_three_data_sets() -> None:
    assert {row["benchmark"] for row in TABLE} == {"yinyang", "mnist", "shd"} < set(DATASETS)


@pytest.mark.parametrize("key", SCHEMA.values(), ids=lambda k: k.name)
def test_every_key_is_documented(key: Key) -> None:
    assert key.meaning.endswith(".")
    assert key.section
    ends_in_ms = key.name in ("DT_MS", "TRIAL_MS") or key.name.startswith("TAU_")
    if ends_in_ms and key.kind is FLOAT:
        assert key.unit == "ms"


@pytest.mark.parametrize(
    ("name", "given", "clean"),
    [
        ("ETA", 1, 1.0),
        ("ETA", "1e-3", 1e-3),
        ("N_BATCH", 1e3, 1000),
        ("N_BATCH", "64", 64),
        ("SHUFFLE", "False", False),
        ("MODEL_SEED", None, None),
        ("MODEL_SEED", "None", None),
        ("N_TRAIN", "12  mini-batches", "12 mini-batches"),
        ("N_TRAIN", "1 mini-batch", "1 mini-batches"),
        ("N_VALIDATE", 0, 0),
        ("HIDDEN_NEURON_TYPE", "mylab.neurons.alif2", "mylab.neurons.alif2"),
        ("REC_SPIKES", ["input"], ("input",)),
        ("REC_NEURONS", [["hidden", "V"]], (("hidden", "V"),)),
        ("W_OUTPUT_EPOCH_TRIAL", [[-1, 0]], ((-1, 0),)),
        ("network.hidden_parameters", {"tau": [1, 2]}, {"tau": (1.0, 2.0)}),
        ("AUGMENTATION", {"random_shift": "4e1", "ID_jitter": None}, {"random_shift": 40.0}),
        ("AUGMENTATION", {"blend": [1, "0.5"]}, {"blend": (1.0, 0.5)}),
        ("AUGMENTATION", {"NORMALISE_SPIKE_NUMBER": "False"}, {}),
        ("SPEAKER_LEFT", None, None),
    ],
)
def test_values_are_read_as_people_write_them(name: str, given: Any, clean: Any) -> None:
    value, problem = SCHEMA[name].convert(given)
    assert problem == ""
    assert value == clean
    assert type(value) is type(clean) or name.startswith("network.")


@pytest.mark.parametrize(
    ("name", "given", "allowed"),
    [
        ("ETA", 0, "a number > 0"),
        ("ETA", "fast", "a number > 0"),
        ("ETA", float("nan"), "a number > 0"),
        ("ETA", float("inf"), "a number > 0"),
        ("ETA", True, "a number > 0"),
        ("ETA", None, "a number > 0"),
        ("DT_MS", -1, "(ms)"),
        ("PDROP_INPUT", 1, ">= 0 and < 1"),
        ("N_BATCH", 1.5, "a whole number >= 1"),
        ("N_BATCH", [3], "a whole number >= 1"),
        ("SHUFFLE", 1, "Did you mean true?"),
        ("SHUFFLE", "maybe", "true or false"),
        ("N_TRAIN", "many", "mini-batches"),
        ("N_TRAIN", 0, ">= 1"),
        ("LOSS_TYPE", "first_spik", "Did you mean 'first_spike'?"),
        ("LOSS_TYPE", "my.9lab", "dotted path"),
        ("backend.precision", "float16", "float32, float64"),
        ("REC_SPIKES", "hidden", "a list of populations"),
        ("REC_NEURONS", ["hidden", "V"], "[population, variable] pairs"),
        ("REC_NEURONS", [["hidden"]], "[population, variable] pairs"),
        ("W_OUTPUT_EPOCH_TRIAL", [[0, -1]], "[epoch, trial] pairs"),
        ("network.hidden_parameters", {"tau": "long"}, "a mapping of parameter names to numbers"),
        ("network.hidden_parameters", {"tau": {"uniform": [3, 1]}}, "or {uniform: [least, most]}"),
        ("OUT_DIR", "", "a text"),
        ("dataset.path", 3, "or null: the data folder"),
    ],
)
def test_wrong_values_are_refused_with_what_is_allowed(name: str, given: Any, allowed: str) -> None:
    value, problem = SCHEMA[name].convert(given)
    assert value is None
    assert problem.startswith(f"{name}=")
    assert allowed in problem


def test_a_value_that_was_never_given_is_called_missing() -> None:
    assert SCHEMA["ETA"].convert("???")[1] == "ETA has no value; it must be a number > 0"


def other_value(key: Key, *not_these: Any) -> Any:
    """Return an allowed value of a key that is none of ``not_these``, the first its default."""
    default = not_these[0]
    if key.choices:
        return next(choice for choice in key.choices if choice not in not_these)
    if key.kind in (BOOL, ALL_OR_NAMES):
        return not default
    if key.kind in (INT, COUNT):
        return (default or 0) + 1
    if key.kind is FLOAT:
        return default * 0.5 if default else 0.25
    if key.kind is TEXT:
        return "another.ras"
    others: dict[str, Any] = {"REDUCED_CLASSES": [1], "SPEAKER_LEFT": [1]}
    others |= {"AUGMENTATION": {"random_shift": 4}, "backend.flags": ["-g"]}
    others |= {"network.layers": [{"size": 8}], "dataset.start": "first"}
    others |= {"LOSS_WINDOW": [10.0, 20.0], "dataset.cycles": [4]}
    return others.get(key.name, [[0, 0]])


CONDITIONAL = [k.name for k in SCHEMA.values() if k.active_if]


def problems_of(source: dict[str, Any]) -> str:
    try:
        from_dict(source)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", CONDITIONAL)
def test_a_key_without_effect_is_refused_and_accepted_where_it_has_one(name: str) -> None:
    key = SCHEMA[name]
    inactive = {"dataset": "mnist", name: other_value(key, key.default_of("mnist"))}
    for condition in key.active_if:
        other = SCHEMA[condition.key]
        if condition.not_:
            inactive[condition.key] = plain(condition.values[0])
        elif other.default_of("mnist") in condition.values:
            default = other.default_of("mnist")
            inactive[condition.key] = other_value(other, default, *condition.values)
    assert f"{name}=" in problems_of(inactive)
    assert "has no effect unless" in problems_of(inactive)
    for condition in key.active_if:
        value: Any = plain(condition.values[0])
        if condition.not_:
            rest = {"REC_SPIKES": ["hidden"], "REC_NEURONS": [["hidden", "V"]]}
            rest |= {"REC_SYNAPSES": [["in_to_hid", "g"]], "REG_TYPE": "simple"}
            rest |= {
                "HIDDEN_NEURON_TYPE": "LIF",
                "N_HID_LAYER": 2,
                "N_INPUT_DELAY": 2,
                "EVALUATION": "random",
            }
            layers = [{"size": 8, "forward": {"rule": "stdp"}, "recurrent": True}, {"size": 4}]
            rest |= {"ETA_FAC": 0.5, "W_REPORT_INTERVAL": 3, "network.layers": layers}
            rest |= {
                "rule.feedback": "symmetric",
                "PATIENCE": 3,
                "dataset.name": "shd",
                "backend.name": "native",
            }
            rest |= {"rule.surrogate": "sigmoid", "rule.het_rho": 1.0, "rule.cut_every": 2}
            rest |= {"rule.cut_at": 2, "rule.cut_at_ms": 2.0, "DELAY_WIDTH": 2.0}
            rest |= {"schedule.name": "cosine", "schedule.warmup": 1.5}
            rest["network.file"] = "net.nir"
            rest["network.populations"] = [{"name": "a"}, {"name": "b"}]
            value = rest[condition.key]
        if condition.key == "DELAY_WIDTH":
            inactive["network.layers"] = [{"forward": {"delay": 3.0}}]
        if condition.key == "network.populations":
            ends = ("input", "a"), ("a", "a"), ("a", "b")
            projections = [{"from": a, "to": b, "rule": "stdp"} for a, b in ends]
            projections.append({"from": "b", "to": "output", "delay": 3.0})
            inactive["network.projections"] = projections
        if condition.key not in ("rule.name", "network.layers", "network.populations"):
            owners = [r.name for r in RULES.values() if name in {k.name for k in r.options}]
            inactive |= {"rule.name": owners[0]} if owners else {}
        if name in OF_FILES:
            file = "a.ras" if name == "dataset.target_offset" else "a.png"
            inactive["dataset.target"] = file
        active = {**inactive, condition.key: value}
        lines = [line for line in problems_of(active).splitlines() if f"{name}=" in line]
        assert not any("has no effect" in line for line in lines)


def test_a_default_without_effect_is_no_mistake() -> None:
    assert from_dict({"dataset": "shd", "TAU_0": 1.0, "B_INCR": 0.1}).TAU_0 == 1.0


def test_a_neuron_of_the_users_may_use_any_parameter() -> None:
    config = from_dict({"HIDDEN_NEURON_TYPE": "mylab.neurons.slow", "TAU_B": 300.0})
    assert config.TAU_B == 300.0


@pytest.mark.parametrize(
    "name", ["NUM_HIDDEN", "DT_MS", "LOSS_TYPE", "N_TRAIN", "backend.precision"]
)
def test_what_makes_a_run_what_it_is_cannot_change_later(name: str) -> None:
    assert SCHEMA[name].changeable == ()
    assert all("resume" in SCHEMA[k].changeable for k in ("N_EPOCH", "ETA", "backend.threads"))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ETAA", "Did you mean 'ETA'?"),
        ("num_hiden", "Did you mean 'NUM_HIDDEN'?"),
        ("backend.thread", "Did you mean 'backend.threads'?"),
        ("QQQQ", "snnrun keys"),
    ],
)
def test_unknown_keys_are_met_with_the_nearest_one(name: str, hint: str) -> None:
    assert hint in unknown_key(name)


def test_a_key_whose_default_breaks_its_own_bounds_cannot_be_declared() -> None:
    with pytest.raises(ValueError, match="X=0"):
        Key(name="X", section="s", kind=INT, default=0, meaning="M.", minimum=1)
    with pytest.raises(ValueError, match="say what it means"):
        Key(name="X", section="s", kind=TEXT, default=None, meaning="M.", nullable=True)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"rule": {"name": "eprop", "feedback": "uniform"}}, "knows symmetric or random or adap"),
        (
            {"rule": {"name": "superspike", "feedback": "adaptive"}, "dataset": "pattern"},
            "knows symmetric or random or uniform or none",
        ),
    ],
)
def test_each_rule_has_its_own_choices_of_an_option_that_they_share(
    keys: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        from_dict(keys)
