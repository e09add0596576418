"""Keys whose value is a mapping can be given whole or entry by entry, over what files say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli_tools import Calls, Say, refused

from snnrun.cli import main

PRESET = """\
# @package _global_
defaults:
  - override /dataset: shd
AUGMENTATION: {random_shift: 40, blend: [0.5, 0.5]}
N_TRAIN: 16000
"""


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["AUGMENTATION={random_shift: 20}"], {"random_shift": 20.0, "blend": (0.5, 0.5)}),
        (
            ["AUGMENTATION.ID_jitter=3"],
            {"random_shift": 40.0, "blend": (0.5, 0.5), "ID_jitter": 3.0},
        ),
        (["AUGMENTATION.blend=null"], {"random_shift": 40.0}),
        (["~AUGMENTATION.random_shift"], {"blend": (0.5, 0.5)}),
        (
            ["AUGMENTATION.NORMALISE_SPIKE_NUMBER=true"],
            {"random_shift": 40.0, "blend": (0.5, 0.5), "NORMALISE_SPIKE_NUMBER": True},
        ),
        (["network.hidden_parameters.tau_i=4", "AUGMENTATION.blend=null"], {"random_shift": 40.0}),
        (
            ["network.hidden_parameters={tau_i: 4}", "AUGMENTATION.blend=null"],
            {"random_shift": 40.0},
        ),
    ],
)
def test_entries_of_the_command_line_join_those_of_a_preset(
    words: list[str], found: dict[str, Any], calls: Calls
) -> None:
    preset = Path("conf/preset/mine.yaml")
    preset.parent.mkdir(parents=True)
    preset.write_text(PRESET)
    assert main(["train", "--config-dir", "conf", "preset=mine", *words]) == 0
    [(_, config, *_)] = calls
    assert dict(config.AUGMENTATION) == found
    assert list(config.AUGMENTATION) == list(found)  # they are applied in this order
    expected = {"tau_i": 4.0} if words[0].startswith("network") else {}
    assert dict(config.network.hidden_parameters) == expected


def test_mappings_can_be_swept(calls: Calls) -> None:
    assert main(["train", "-m", "dataset=shd", "AUGMENTATION.random_shift=10,40"]) == 0
    assert [config.AUGMENTATION["random_shift"] for _, config, *_ in calls] == [10.0, 40.0]


def test_an_augmentation_that_does_not_exist_is_refused_with_the_nearest_one(capsys: Say) -> None:
    said = refused(capsys, "train", "AUGMENTATION={random_shif: 3}")
    assert "AUGMENTATION.random_shif: there is no such augmentation. Did you mean" in said
