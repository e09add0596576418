"""Options of dataset=pattern, and the keys that mean nothing with one frozen pattern."""

from __future__ import annotations

from collections.abc import Iterator

from snnrun.keys.check import Checks, Values, steps_of
from snnrun.keys.kinds import shown
from snnrun.keys.table import number, switch, table, text, whole
from snnrun.schema.files import FILES, with_option

PATTERN = with_option("target")

# fmt: off
OPTIONS = table(
    "options of dataset=pattern",
    text(
        "dataset.input", None, "File of input spikes (.ras: one line \"seconds neuron\" each).",
        nullable=True, null="Poisson spikes, drawn once with TRAIN_DATA_SEED", active_if=PATTERN,
    ),
    number(
        "dataset.rate", 5.0, "Rate of the Poisson input.", unit="Hz", above=0, active_if=PATTERN,
    ),
    whole(
        "dataset.channels", 200, "Input channels.", minimum=1, maximum=65535, active_if=PATTERN,
    ),
    text(
        "dataset.target", None,
        "File of the target: spikes (.ras), or a picture (.pgm, .png) whose rows are the outputs "
        "and whose bright pixels are spikes.",
        nullable=True, null="dataset.target_spikes evenly spaced ones of each output, later from "
        "one output to the next", active_if=PATTERN,
    ),
    whole(
        "dataset.target_spikes", 5, "Spikes of each output of the generated target.", minimum=1,
        active_if=PATTERN,
    ),
    whole("dataset.outputs", 200, "Outputs.", minimum=1, maximum=65535, active_if=PATTERN),
    whole(
        "dataset.target_offset", None, "Number of the first neuron in the target's .ras file.",
        nullable=True, null="1 if neuron 0 has no spike there and one has the number "
        "dataset.outputs, else 0", minimum=0, active_if=PATTERN,
    ),
    number(
        "dataset.bin_ms", 10.0, "Time that a column of a target's picture takes.", unit="ms",
        above=0, active_if=PATTERN,
    ),
    switch(
        "dataset.jitter", True,
        "Draw the time of a picture's spike within its column; false: its middle.",
        active_if=PATTERN,
    ),
    switch(
        "dataset.invert", False, "Make spikes of the dark pixels of a picture.", active_if=PATTERN,
    ),
)
# fmt: on

# Keys that choose or change examples with classes: name -> the only value with a frozen pattern.
FIXED = {
    "AUGMENTATION": {},
    "RESCALE_T": 1.0,
    "RESCALE_X": 1.0,
    "N_INPUT_DELAY": 0,
    "REDUCED_CLASSES": None,
    "BALANCE_TRAIN_CLASSES": False,
    "BALANCE_EVAL_CLASSES": False,
    "EVALUATION": "random",
    "SHUFFLE": False,
    "dataset.merge": True,
}


OF_FILES = ("dataset.target_offset", "dataset.bin_ms", "dataset.jitter", "dataset.invert")

CHECKS = Checks()


@CHECKS.add
def _frozen(values: Values) -> Iterator[str]:
    for name, only in FIXED.items():
        if values["dataset.name"] == "pattern" and values[name] != only:
            yield (
                f"{name}={shown(values[name])}: has no effect on one frozen pattern; use "
                f"{name}={shown(only)}"
            )


@CHECKS.add
def _of_the_source(values: Values) -> Iterator[str]:
    """Refuse options of another kind of input or target than the one chosen."""
    if values["dataset.name"] != "pattern":
        return
    target = str(values["dataset.target"] or "").lower()
    drawn, spikes = not target, target.endswith(".ras")
    picture = not drawn and not spikes
    used = {
        "rate": values["dataset.input"] is None,
        "target_spikes": drawn,
        "target_offset": spikes,
        "bin_ms": picture,
        "jitter": picture,
        "invert": picture,
    }
    for option, works in used.items():
        value = values[f"dataset.{option}"]
        if not works and value != FILES["pattern"][f"dataset.{option}"]:
            need = {"rate": "dataset.input=null", "target_spikes": "dataset.target=null"}
            need["target_offset"] = "a .ras file as dataset.target"
            yield (
                f"dataset.{option}={shown(value)}: needs "
                f"{need.get(option, 'a picture as dataset.target')}; leave it out"
            )


@CHECKS.add
def _room_for_the_target(values: Values) -> Iterator[str]:
    steps, spikes = steps_of(values), values["dataset.target_spikes"]
    drawn = values["dataset.name"] == "pattern" and not values["dataset.target"]
    if drawn and steps is not None and spikes > steps:
        yield f"dataset.target_spikes={spikes}: must be at most the {steps} steps of a trial"
