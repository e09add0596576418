"""Keys of what the network is shown: wrong values and combinations, each told in one line."""

from __future__ import annotations

from typing import Any

import pytest

from snnrun.config import from_dict
from snnrun.errors import ConfigError

AUGMENTATIONS = [
    (
        "random_shfit",
        4,
        "AUGMENTATION.random_shfit: there is no such augmentation. Did you mean "
        "'random_shift'? There are: random_shift, image_shift, random_dilate, ID_jitter, blend, "
        "NORM",
    ),
    ("image_shift", 1, "image_shift=1.0: must be a number of pixels above 1"),
    ("random_shift", 0.5, "random_shift=0.5: must be a number of channels above 1"),
    ("random_shift", 1, "random_shift=1.0: must be a number of channels above 1"),
    ("random_shift", [4], "random_shift=[4.0]: must be a number of channels above 1"),
    ("random_shift", True, "random_shift=true: must be a number of channels above 1"),
    ("random_dilate", [1.2, 0.8], "random_dilate=[1.2, 0.8]: must be [least, most], two factors"),
    ("random_dilate", [0, 1], "must be [least, most], two factors above 0 in this order"),
    ("random_dilate", [1, 2, 3], "must be [least, most], two factors above 0 in this order"),
    ("random_dilate", 2, "random_dilate=2.0: must be [least, most]"),
    ("ID_jitter", "x", "ID_jitter=x: must be a standard deviation above 0, in channels"),
    ("ID_jitter", 0, "ID_jitter=0.0: must be a standard deviation above 0, in channels"),
    ("blend", [0.5], "blend=[0.5]: must be [p1, p2, ...], for each of two or more examples"),
    ("blend", [0.5, 1.5], "blend=[0.5, 1.5]: must be [p1, p2, ...]"),
    ("blend", [0.5, True], "blend=[0.5, true]: must be [p1, p2, ...]"),
    ("NORMALISE_SPIKE_NUMBER", 3, "NORMALISE_SPIKE_NUMBER=3.0: must be true or false"),
]

OTHERS: list[tuple[dict[str, Any], str]] = [
    ({"AUGMENTATION": [["blend", 1]]}, "AUGMENTATION=[[blend, 1]]: must be a mapping of augment"),
    (
        {"dataset": "yinyang", "AUGMENTATION": {"blend": [0.5, 0.5]}},
        "yinyang is generated and can have any number of examples; leave blend out",
    ),
    (
        {"AUGMENTATION": {"blend": [0.5, 0.5]}, "N_VALIDATE": None},
        "N_VALIDATE=null: with AUGMENTATION.blend, N_TRAIN counts blended examples too",
    ),
    ({"SPEAKER_LEFT": [2]}, "SPEAKER_LEFT=[2]: has no effect unless EVALUATION is speaker"),
    ({"N_INPUT_DELAY": 2, "INPUT_DELAY": 0.4}, "INPUT_DELAY=0.4: less than half a step"),
    (
        {"N_INPUT_DELAY": 28},
        "N_INPUT_DELAY=28: the last copy would come INPUT_DELAY=50 ms times 28",
    ),
    ({"INPUT_DELAY": 10.0}, "INPUT_DELAY=10.0: has no effect unless N_INPUT_DELAY is not 0"),
    ({"N_INPUT_DELAY": -1}, "N_INPUT_DELAY=-1: must be a whole number >= 0"),
    ({"RESCALE_X": 0}, "RESCALE_X=0: must be a number > 0"),
    ({"RESCALE_T": -0.5}, "RESCALE_T=-0.5: must be a number > 0"),
    ({"REDUCED_CLASSES": [-1, 0]}, "REDUCED_CLASSES=[-1, 0]: must be two or more different"),
    ({"REDUCED_CLASSES": 3}, "REDUCED_CLASSES=3: must be a list of whole numbers"),
]


def refusal(source: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        from_dict({"dataset": "shd", **source})
    return str(caught.value)


@pytest.mark.parametrize(("name", "value", "expected"), AUGMENTATIONS)
def test_a_wrong_augmentation_is_refused_with_what_is_allowed(
    name: str, value: Any, expected: str
) -> None:
    message = refusal({"AUGMENTATION": {"random_shift": 9, name: value}})
    assert message.startswith(f"AUGMENTATION.{name}")
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize(("source", "expected"), OTHERS)
def test_a_wrong_value_or_combination_is_refused(source: dict[str, Any], expected: str) -> None:
    message = refusal(source)
    assert expected in message
    assert "\n" not in message


def test_augmentations_keep_their_order_and_those_that_are_off_are_gone() -> None:
    given = {
        "blend": [0.5, 1],
        "random_shift": None,
        "NORMALISE_SPIKE_NUMBER": False,
        "ID_jitter": "2e0",
    }
    found = from_dict({"dataset": "shd", "AUGMENTATION": given}).AUGMENTATION
    assert list(found.items()) == [("blend", (0.5, 1.0)), ("ID_jitter", 2.0)]
