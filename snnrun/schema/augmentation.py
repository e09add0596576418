"""The entries of AUGMENTATION: what each takes, and how one mistake in them is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from snnrun.errors import did_you_mean
from snnrun.keys.check import Checks, Values
from snnrun.keys.kinds import FLOAT, Kind, shown
from snnrun.schema.checks import GENERATED

CHECKS = Checks()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One augmentation: what its value must be, in words and as a test of the clean value."""

    allowed: str
    holds: Callable[[Any], bool]


def _numbers(value: Any, least: int) -> bool:
    return isinstance(value, tuple) and len(value) >= least and not any(map(_no_number, value))


def _no_number(value: Any) -> bool:
    return isinstance(value, bool) or not isinstance(value, int | float)


ENTRIES = {
    "random_shift": Entry(
        allowed="a number of channels above 1",
        holds=lambda value: not _no_number(value) and value > 1,
    ),
    "image_shift": Entry(
        allowed="a number of pixels above 1",
        holds=lambda value: not _no_number(value) and value > 1,
    ),
    "random_dilate": Entry(
        allowed="[least, most], two factors above 0 in this order",
        holds=lambda value: _numbers(value, 2) and len(value) == 2 and 0 < value[0] <= value[1],
    ),
    "ID_jitter": Entry(
        allowed="a standard deviation above 0, in channels",
        holds=lambda value: not _no_number(value) and value > 0,
    ),
    "blend": Entry(
        allowed="[p1, p2, ...], for each of two or more examples the share of events to keep, "
        "above 0 and up to 1",
        holds=lambda value: _numbers(value, 2) and all(0 < share <= 1 for share in value),
    ),
    "NORMALISE_SPIKE_NUMBER": Entry(
        allowed="true or false", holds=lambda value: isinstance(value, bool)
    ),
}


def _entries(value: Any) -> Mapping[str, Any]:
    """Return the entries in their order with numbers as numbers, without those that are off."""
    if not isinstance(value, Mapping):
        raise ValueError(value)
    clean = {str(name): _clean(item) for name, item in value.items()}
    return {name: item for name, item in clean.items() if item is not None and item is not False}


def _clean(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_clean(item) for item in value)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, bool) or value is None:
        return value
    try:
        return FLOAT.convert(value)
    except (ValueError, OverflowError):
        return value  # a check tells what is wrong with it


AUGMENTATIONS = Kind(
    text="a mapping of augmentations to their values, as in {random_shift: 40, blend: [0.5, 0.5]}",
    convert=_entries,
    mapping=True,
)


@CHECKS.add
def _known_entries(values: Values) -> Iterator[str]:
    for name, value in values["AUGMENTATION"].items():
        if name not in ENTRIES:
            yield (
                f"AUGMENTATION.{name}: there is no such augmentation."
                f"{did_you_mean(name, ENTRIES)} There are: {', '.join(ENTRIES)}"
            )
        elif not ENTRIES[name].holds(value):
            yield f"AUGMENTATION.{name}={shown(value)}: must be {ENTRIES[name].allowed}"


@CHECKS.add
def _blend_adds_examples(values: Values) -> Iterator[str]:
    if "blend" not in values["AUGMENTATION"]:
        return
    if values["dataset.name"] in GENERATED:
        yield (
            f"AUGMENTATION.blend: {values['dataset.name']} is generated and can have any number of "
            "examples; leave blend out and choose a larger N_TRAIN"
        )
    if values["N_VALIDATE"] is None:
        yield (
            "N_VALIDATE=null: with AUGMENTATION.blend, N_TRAIN counts blended examples too, so it "
            "does not say how many of the data are left; give the number of validation examples"
        )


@CHECKS.add
def _speakers(values: Values) -> Iterator[str]:
    left = values["SPEAKER_LEFT"]
    if left is None:
        return
    if not left or min(left) < 0 or len(set(left)) < len(left):
        yield (
            f"SPEAKER_LEFT={shown(left)}: must be one or more different places in the list of "
            "speakers, counted from 0"
        )


@CHECKS.add
def _classes(values: Values) -> Iterator[str]:
    classes = values["REDUCED_CLASSES"]
    if classes is None:
        return
    if len(classes) < 2 or min(classes) < 0 or len(set(classes)) < len(classes):
        yield (
            f"REDUCED_CLASSES={shown(classes)}: must be two or more different classes, counted "
            "from 0, or null for all"
        )


@CHECKS.add
def _delays_within_the_trial(values: Values) -> Iterator[str]:
    copies, delay = values["N_INPUT_DELAY"], values["INPUT_DELAY"]
    if copies and round(delay / values["DT_MS"]) < 1:
        yield (
            f"INPUT_DELAY={delay:g}: less than half a step (DT_MS={values['DT_MS']:g} ms), so it "
            "would round to no delay; use a longer one or a shorter DT_MS"
        )
    if copies * delay >= values["TRIAL_MS"]:
        yield (
            f"N_INPUT_DELAY={copies}: the last copy would come INPUT_DELAY={delay:g} ms times "
            f"{copies} late, after the end of the trial (TRIAL_MS={values['TRIAL_MS']:g}); use "
            "fewer copies or a shorter delay"
        )
