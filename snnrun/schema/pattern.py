"""Options of dataset=pattern, and the keys that mean nothing with one frozen pattern."""

from __future__ import annotations

from collections.abc import Iterator

from snnrun.keys.check import Checks, Values, steps_of
from snnrun.keys.table import number, switch, table, text, whole, with_option

PATTERN = with_option("target")

# fmt: off
OPTIONS = table(
    "options of dataset=pattern",
    text(
        "dataset.input", "File of input spikes (.ras: one line \"seconds neuron\" each).",
        nullable=True, null="Poisson spikes, drawn once with TRAIN_DATA_SEED", active_if=PATTERN,
    ),
    number(
        "dataset.rate", "Rate of the Poisson input.", unit="Hz", above=0, active_if=PATTERN,
    ),
    whole(
        "dataset.channels", "Input channels.", minimum=1, maximum=65535, active_if=PATTERN,
    ),
    text(
        "dataset.target",
        "File of the target: spikes (.ras), or a picture (.pgm, .png) whose rows are the outputs "
        "and whose bright pixels are spikes.",
        nullable=True, null="dataset.target_spikes evenly spaced ones of each output, later from "
        "one output to the next", active_if=PATTERN,
    ),
    whole(
        "dataset.target_spikes", "Spikes of each output of the generated target.", minimum=1,
        active_if=PATTERN,
    ),
    whole("dataset.outputs", "Outputs.", minimum=1, maximum=65535, active_if=PATTERN),
    whole(
        "dataset.target_offset", "Number of the first neuron in the target's .ras file.",
        nullable=True, null="1 if neuron 0 has no spike there and one has the number "
        "dataset.outputs, else 0", minimum=0, active_if=PATTERN,
    ),
    number(
        "dataset.bin_ms", "Time that a column of a target's picture takes.", unit="ms",
        above=0, active_if=PATTERN,
    ),
    switch(
        "dataset.jitter",
        "Draw the time of a picture's spike within its column; false: its middle.",
        active_if=PATTERN,
    ),
    switch(
        "dataset.invert", "Make spikes of the dark pixels of a picture.", active_if=PATTERN,
    ),
)
# fmt: on

# keys that choose or change examples with classes
OF_CLASSES = (
    "AUGMENTATION",
    "RESCALE_T",
    "RESCALE_X",
    "N_INPUT_DELAY",
    "REDUCED_CLASSES",
    "BALANCE_TRAIN_CLASSES",
    "BALANCE_EVAL_CLASSES",
    "EVALUATION",
    "SHUFFLE",
    "dataset.merge",
)
OF_FILES = ("dataset.target_offset", "dataset.bin_ms", "dataset.jitter", "dataset.invert")

CHECKS = Checks()


def unused(name: str, values: Values) -> str:
    """Return why a key means nothing with the chosen pattern, as after "has no effect"; or ""."""
    if values.get("dataset.name") != "pattern":
        return ""
    if name in OF_CLASSES:
        return " on one frozen pattern"
    target = str(values.get("dataset.target") or "").lower()
    needs = dict.fromkeys(OF_FILES, "" if target and target[-4:] != ".ras" else "a picture")
    needs["dataset.target_offset"] = "" if target.endswith(".ras") else "a .ras file"
    needs["dataset.target_spikes"] = "null" if target else ""
    if name == "dataset.rate":
        return " unless dataset.input is null" if values.get("dataset.input") else ""
    return f" unless dataset.target is {needs[name]}" if needs.get(name) else ""


@CHECKS.add
def _room_for_the_target(values: Values) -> Iterator[str]:
    steps, spikes = steps_of(values), values["dataset.target_spikes"]
    drawn = values["dataset.name"] == "pattern" and not values["dataset.target"]
    if drawn and steps is not None and spikes > steps:
        yield f"dataset.target_spikes={spikes}: must be at most the {steps} steps of a trial"
