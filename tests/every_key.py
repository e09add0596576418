"""What each key of the reference's table changes, as rows: a value, and where to look for it.

``see`` names the way to look (a function of test_every_key.py) and ``expect`` what must hold
between what is seen without the value and with it; without ``expect`` they must differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

UNSET = object()  # takes a key out of the base

Expect = Callable[[Any, Any], bool]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A value of a key that changes something.

    value   what the key is set to; without it the key has its default
    see     where the change is looked for
    base    keys that both have, without which the key acts on nothing
    drop    keys that mean nothing any more with the value
    expect  what must hold between what is seen before and after
    """

    value: Any
    see: str
    base: Mapping[str, Any] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    expect: Expect | None = None


def source(value: Any, says: str = "", **base: Any) -> Row:
    """Return a row whose value is in the program; ``says``: text that only the new one has."""
    expect = (lambda before, after: says not in before and says in after) if says else None
    return Row(value=value, see="source", base=base, expect=expect)


def result(value: Any, see: str, expect: Expect | None = None, **base: Any) -> Row:
    """Return a row whose value changes what a run records."""
    return Row(value=value, see=see, base=base, expect=expect)


def mean(projection: str, value: float, **base: Any) -> Row:
    """Return a row whose value is the mean of the initial weights of a projection."""

    def moved(before: dict, after: dict) -> bool:
        w = after[projection]
        tolerance = 5 * w.std() / np.sqrt(w.size)
        return abs(before[projection].mean() - value) > tolerance > abs(w.mean() - value)

    return Row(value=value, see="start_weights", base=base, expect=moved)


def deviation(projection: str, value: float, **base: Any) -> Row:
    """Return a row whose value is the standard deviation of these weights."""

    def spread(before: dict, after: dict) -> bool:
        w = after[projection]
        tolerance = 5 * value / np.sqrt(2 * w.size)
        return abs(before[projection].std() - value) > tolerance > abs(w.std() - value)

    return Row(value=value, see="start_weights", base=base, expect=spread)


def only(*names: str) -> Expect:
    """Return that the named tensors, and no others, have been trained."""
    return lambda before, after: set(before) > set(after) == set(names)


def is_(value: Any, before: Any = UNSET) -> Expect:
    """Return that ``value`` is seen afterwards, and ``before``, or another one, before."""
    return lambda old, new: new == value and (old == before if before is not UNSET else old != new)


def says(*words: str) -> Expect:
    """Return that a message appears with these words, where there was none."""
    return lambda before, after: not before and all(word in after for word in words)


REGULARISED = {"REG_TYPE": "simple"}
LAYERWISE = {"REG_TYPE": "Thomas1"}
SPIKE_TIMES = {"LOSS_TYPE": "first_spike_exp"}
ADAPTIVE = {"HIDDEN_NEURON_TYPE": "ALIF"}
RECURRENT = {"RECURRENT": True}
DEEP = {"N_HID_LAYER": 2}
BY_SPEAKER = {"EVALUATION": "speaker", "N_VALIDATE": UNSET}
SILENT = {"INPUT_HIDDEN_MEAN": -2.0, "INPUT_HIDDEN_STD": 0.1}  # no hidden neuron ever spikes
ALL = {"N_TRAIN": None, "N_VALIDATE": 0, "N_TEST": None, "CHECKPOINT_BEST": "training"}
FALLS = {"EMA_WHICH": "training", "LR_EASE_IN_FACTOR": 1.0}  # the rate, wherever it is told to
SPIKES, V, G = ["hidden"], [["hidden", "V"]], [["in_to_hid", "g"]]
AT = [[1, 0]]

ROWS: dict[str, Row] = {
    # general parameters
    "NAME": result("mine", "name", is_("mine", "unnamed")),
    "DEBUG_HIDDEN_N": result(True, "activity", lambda before, after: before < after),
    "OUT_DIR": result("elsewhere", "top_folder", is_("elsewhere", "outputs")),
    "DT_MS": source(0.25, "DT = 0.25;"),
    "BUILD": result(False, "refusal_of_an_empty_cache", says("BUILD=false", "not been built")),
    "TIMING": result(False, "timings", lambda before, after: bool(before) and not after),
    # experiment parameters
    "TRAIN_DATA_SEED": result(9, "train_order"),
    "TEST_DATA_SEED": result(9, "test_examples"),
    "MODEL_SEED": result(9, "first_weights"),
    "TRIAL_MS": source(70.0, ", 70, "),
    "N_MAX_SPIKE": result(7, "genn_buffers"),
    "N_BATCH": result(3, "batches", is_([3, 3, 3, 3, 3])),
    "N_TRAIN": result(11, "batches", is_([5, 5, 1], [5, 5, 5])),
    "N_VALIDATE": result(3, "validation_examples", is_(3, 5)),
    "N_EPOCHS": result(2, "epochs", is_(2)),
    "SHUFFLE": result(False, "train_order", lambda before, after: after == sorted(after) != before),
    "N_TEST": result(4, "test_count", is_(4, 5)),
    # network structure
    "NUM_HIDDEN": source(13, "SIZE = 13"),
    "RECURRENT": source(True),
    "N_HID_LAYER": source(2, "Hidden1"),
    # model parameters
    "TAU_SYN": source(6.5),
    "TAU_MEM": source(31.0),
    "V_THRESH": source(0.77, "v_thresh = 0.77;"),
    "V_RESET": source(-0.3, "v_reset = -0.3;"),
    "HIDDEN_NEURON_TYPE": source("ALIF"),
    "OUTPUT_NEURON_TYPE": source("hetLI"),
    "TAU_B": source(77.0, **ADAPTIVE),
    "B_INCR": source(0.77, "b_incr = 0.77;", **ADAPTIVE),
    "B_INIT": source(0.77, "b_init = 0.77;", **ADAPTIVE),
    "INPUT_HIDDEN_MEAN": mean("in_to_hid", 0.9),
    "INPUT_HIDDEN_STD": deviation("in_to_hid", 0.2),
    "HIDDEN_OUTPUT_MEAN": mean("hid_to_out", -0.9),
    "HIDDEN_OUTPUT_STD": deviation("hid_to_out", 0.02),
    "HIDDEN_HIDDEN_MEAN": mean("hid_to_hid", -0.9, **RECURRENT),
    "HIDDEN_HIDDEN_STD": deviation("hid_to_hid", 0.02, **RECURRENT),
    "HIDDEN_HIDDENFWD_MEAN": mean("hid_to_hidfwd0", -0.9, **DEEP),
    "HIDDEN_HIDDENFWD_STD": deviation("hid_to_hidfwd0", 0.2, **DEEP),
    "PDROP_INPUT": result(
        0.8, "train_input_spikes", lambda before, after: after < 0.4 * before, REC_SPIKES=["input"]
    ),
    "PDROP_HIDDEN": source(0.5),
    "REG_TYPE": source("simple", "REGULARISED = true"),
    "LBD_UPPER": source(0.0077, **REGULARISED),
    "LBD_LOWER": source(0.0077, **REGULARISED),
    "NU_UPPER": source(7.5, **REGULARISED),
    "RHO_UPPER": source(77.5, "reg_RHO_UPPER = 77.5;", **LAYERWISE),
    "GLB_UPPER": source(0.0077, **LAYERWISE),
    "REWIRE_SILENT": result(
        True,
        "trained_tensors",
        lambda before, after: {*after} - {*before} == {"in_to_hid"},
        **SILENT,
    ),
    "REWIRE_LIFT": result(0.125, "lifts", is_([0.25]), REWIRE_SILENT=True, **SILENT),
    # learning parameters
    "ETA": result(0.02, "learned"),
    "ADAM_BETA1": result(0.5, "learned"),
    "ADAM_BETA2": result(0.5, "learned"),
    "ADAM_EPS": result(0.1, "learned"),
    "ETA_DECAY": result(0.5, "rates", is_([0.005, 0.0025, 0.00125]), ETA=0.005),
    "EMA_ALPHA1": result(0.1, "rates", MIN_EPOCH_ETA_FIXED=0, EMA_ALPHA2=0.5, **FALLS),
    "EMA_ALPHA2": result(0.5, "rates", MIN_EPOCH_ETA_FIXED=0, **FALLS),
    "ETA_FAC": result(
        0.25,
        "rates",
        lambda before, after: before[-1] == 2 * after[-1],
        EMA_ALPHA2=0.5,
        MIN_EPOCH_ETA_FIXED=0,
        **FALLS,
    ),
    "MIN_EPOCH_ETA_FIXED": result(
        0,
        "rates",
        lambda before, after: len(set(before)) == 1 < len(set(after)),
        EMA_ALPHA2=0.5,
        **FALLS,
    ),
    "TRAIN_TAU": source(True, TRAIN_TAU=UNSET),
    "MIN_TAU_M": result(19.99, "shortest_tau_mem", is_(19.99)),
    "MIN_TAU_SYN": result(4.99, "shortest_tau_syn", is_(4.99)),
    "TRAIN_TAU_OUTPUT": source(True),
    "TRAIN_W": result(False, "trained_tensors", only("hidden")),
    "TRAIN_W_OUTPUT": result(False, "trained_tensors", only("hidden", "in_to_hid")),
    # recording controls
    "W_OUTPUT_EPOCH_TRIAL": result([[2, 1]], "recorded_weights", is_([(2, 1)], [(0, 0), (2, 3)])),
    "TAU_OUTPUT_EPOCH_TRIAL": result([[2, 1]], "recorded_taus", is_([(2, 1)], [])),
    "W_REPORT_INTERVAL": result(
        2, "recorded_weights", is_([(0, 0), (0, 2), (2, 3)], [(0, 0), (2, 3)])
    ),
    "W_EPOCH_INTERVAL": result(
        2, "recorded_weights", is_([(0, 0), (0, 2), (2, 0), (2, 2), (2, 3)]), W_REPORT_INTERVAL=2
    ),
    "SPK_REC_STEPS": result(
        5,
        "writes_of_spikes",
        lambda before, after: before < after / 3,
        REC_SPIKES=SPIKES,
        REC_SPIKES_EPOCH_TRIAL=AT,
    ),
    "REC_SPIKES_EPOCH_TRIAL": result(AT, "recorded_spikes", is_([(1, 0)]), REC_SPIKES=SPIKES),
    "REC_SPIKES": result(SPIKES, "recorded_spikes", lambda old, new: not old and len(new) == 12),
    "REC_NEURONS_EPOCH_TRIAL": result(AT, "recorded_variables", is_([(1, 0)]), REC_NEURONS=V),
    "REC_NEURONS": result(V, "recorded_variables", lambda old, new: not old and len(new) == 12),
    "REC_SYNAPSES_EPOCH_TRIAL": result(
        AT, "recorded_weights", is_([(0, 0), (1, 0), (2, 3)]), REC_SYNAPSES=G
    ),
    "REC_SYNAPSES": result(G, "recorded_weights", lambda old, new: len(old) < len(new) == 12),
    "TRAINING_PLOT": result(True, "pictures", is_(["training"], [])),
    "TRAINING_PLOT_INTERVAL": result(
        1, "courses_drawn", lambda before, after: before < after, TRAINING_PLOT=True
    ),
    "FANCY_PLOTS": result(
        True, "pictures", lambda old, new: not old and {"raster", "weights"} <= set(new)
    ),
    "WRITE_TO_DISK": result(False, "files", lambda before, after: bool(before) and not after),
    "LOAD_LAST": result(True, "first_weights_after_a_run", is_("last", "new")),
    "LOAD_BEST": result(True, "first_weights_after_a_run", is_("best", "new")),
    # loss types and parameters
    "LOSS_TYPE": source("max"),
    "EVALUATION": Row(value="speaker", see="validation_set", drop=("N_VALIDATE",)),
    "SPEAKER_LEFT": result([2], "validation_set", **BY_SPEAKER),
    "CUDA_VISIBLE_DEVICES": result(False, "genn_device", is_({"device_select_method": "OPTIMAL"})),
    "AVG_SNSUM": source(True, **REGULARISED),
    "REDUCED_CLASSES": result([1, 4, 7], "classes", is_(([1, 4, 7], 3)), **ALL),
    "TAU_0": source(7.7, **SPIKE_TIMES),
    "TAU_1": source(17.7, **SPIKE_TIMES),
    "ALPHA": source(0.0123, **SPIKE_TIMES),
    "AUGMENTATION": result({"random_shift": 40}, "train_input_channels", REC_SPIKES=["input"]),
    "COLLECT_CONFUSION": result(True, "confusion", is_(15, 0)),
    "REC_PREDICTIONS": result(True, "predictions", is_(15, 0), REC_PREDICTIONS=UNSET),
}

# Where a key acts otherwise in one data set.
ROWS_OF: dict[tuple[str, str], Row] = {
    ("mnist", "EVALUATION"): result("validation_set", "refusal", says("mnist has no validation")),
    ("yinyang", "TRIAL_MS"): source(40.0, ", 80, "),
    ("mnist", "TRIAL_MS"): source(40.0, ", 80, "),
}
