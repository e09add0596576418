"""Classes and speakers: which examples are used, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from snnrun.config import Config, from_dict
from snnrun.datasets import Splits, load
from snnrun.errors import ConfigError, DataError

N = 40  # training examples of the folder; labels 0 to 19 twice, speakers 4, 5, 6 in turn


def config_of(folder: Path, **keys: Any) -> Config:
    common = {"TRIAL_MS": 20.0, "N_TRAIN": None, "N_VALIDATE": 10, "DT_MS": 1.0}
    if keys.get("EVALUATION") == "speaker":
        del common["N_VALIDATE"]
    return from_dict({"dataset": {"name": "shd", "path": str(folder)}, **common, **keys})


def refusal(folder: Path, **keys: Any) -> str:
    with pytest.raises((DataError, ConfigError)) as caught:
        load(config_of(folder, **keys))
    return str(caught.value)


def numbers(splits: Splits) -> tuple[list[int], list[int]]:
    return splits.train.examples.tolist(), splits.validation.examples.tolist()


@pytest.mark.parametrize("left", [(0,), (2,), (0, 2)])
def test_speakers_are_left_out_by_their_place_and_validated(
    shd_folder: Path, left: tuple[int, ...]
) -> None:
    splits = load(config_of(shd_folder, EVALUATION="speaker", SPEAKER_LEFT=left))
    train, validation = numbers(splits)
    assert validation == [i for i in range(N) if i % 3 in left]
    assert train == [i for i in range(N) if i % 3 not in left]
    assert len(splits.test) == 10


def test_n_train_chooses_among_the_other_speakers(shd_folder: Path) -> None:
    keys: dict[str, Any] = {"EVALUATION": "speaker", "SPEAKER_LEFT": [1]}
    train, validation = numbers(load(config_of(shd_folder, N_TRAIN=7, **keys)))
    assert len(train) == 7
    assert {i % 3 for i in train} == {0, 2}
    assert validation == [i for i in range(N) if i % 3 == 1]
    said = refusal(shd_folder, N_TRAIN=28, **keys)
    assert "N_TRAIN=28 asks for 28 examples, but " in said
    assert "of the classes and speakers asked for, holds 27" in said


def test_n_validate_has_no_part_in_it(shd_folder: Path) -> None:
    said = refusal(shd_folder, EVALUATION="speaker", N_VALIDATE=7)
    assert said.startswith("N_VALIDATE=7: has no effect unless EVALUATION is not speaker")


@pytest.mark.parametrize(
    ("left", "message"),
    [
        ([3], "shd has 3 speakers in its training data, so places are 0 to 2"),
        ([0, 1, 2], "shd has no example of the other speakers"),
        (None, "all speakers would be left out, and none to train on"),
        ([], "must be one or more different places in the list of speakers"),
        ([1, 1], "must be one or more different places in the list of speakers"),
        ([-1], "must be one or more different places in the list of speakers"),
    ],
)
def test_speakers_that_cannot_be_left_out_are_refused(
    shd_folder: Path, left: Any, message: str
) -> None:
    assert message in refusal(shd_folder, EVALUATION="speaker", SPEAKER_LEFT=left)


@pytest.mark.parametrize("keys", [{"dataset": "yinyang"}, {"dataset": {"name": "mnist"}}])
def test_data_sets_without_speakers_are_refused(mnist_folder: Path, keys: dict[str, Any]) -> None:
    if keys["dataset"] != "yinyang":
        keys = {"dataset": {"name": "mnist", "path": str(mnist_folder)}, "N_TRAIN": None}
        keys |= {"N_TEST": None}
    with pytest.raises(DataError, match="does not tell speakers apart"):
        load(from_dict({**keys, "EVALUATION": "speaker"}))


def test_reduced_classes_are_renumbered_in_the_order_given(shd_folder: Path) -> None:
    splits = load(config_of(shd_folder, REDUCED_CLASSES=[7, 3, 12], N_VALIDATE=2))
    train, validation = numbers(splits)
    assert sorted(train + validation) == [3, 7, 12, 23, 27, 32]
    places = {7: 0, 3: 1, 12: 2}
    for split in splits.all():
        assert split.data.n_classes == 3
        assert split.data.class_names == ("word7", "word3", "word12")
    for split in (splits.train, splits.validation):
        assert split.labels.tolist() == [places[i % 20] for i in split.examples.tolist()]
    assert splits.test.examples.tolist() == [3, 7]  # of ten, labels 0 to 9
    assert splits.test.labels.tolist() == [1, 0]


def test_reduced_classes_and_speakers_go_together(shd_folder: Path) -> None:
    keys: dict[str, Any] = {"REDUCED_CLASSES": [7, 3, 12], "EVALUATION": "speaker"}
    train, validation = numbers(load(config_of(shd_folder, SPEAKER_LEFT=[0], **keys)))
    assert validation == [3, 12, 27]
    assert train == [7, 23, 32]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"REDUCED_CLASSES": [0, 20]}, "REDUCED_CLASSES=[0, 20]: shd has 20 classes, 0 to 19"),
        ({"REDUCED_CLASSES": [4]}, "must be two or more different classes"),
        ({"REDUCED_CLASSES": [4, 4]}, "must be two or more different classes"),
        (
            {
                "REDUCED_CLASSES": [0, 1],
                "N_TRAIN": 5,
                "N_VALIDATE": 0,
                "CHECKPOINT_BEST": "training",
                "EMA_WHICH": "training",
            },
            "of the classes and speakers asked for, holds 4",
        ),
        (
            {"REDUCED_CLASSES": [0, 1], "N_TEST": 3, "N_VALIDATE": 1},
            "N_TEST=3 asks for more than the 2 examples",
        ),
    ],
)
def test_classes_that_cannot_be_used_are_refused(
    shd_folder: Path, keys: dict[str, Any], message: str
) -> None:
    assert message in refusal(shd_folder, **keys)


def test_a_generated_set_cannot_be_reduced() -> None:
    with pytest.raises(DataError, match="dataset yinyang cannot be reduced to some classes"):
        load(from_dict({"dataset": "yinyang", "REDUCED_CLASSES": [0, 1]}))


def test_blend_leaves_the_sizes_of_the_data_to_what_there_is(shd_folder: Path) -> None:
    keys: dict[str, Any] = {"AUGMENTATION": {"blend": [0.5, 0.5]}, "N_VALIDATE": 10}
    train, validation = numbers(load(config_of(shd_folder, N_TRAIN=100, **keys)))
    assert (len(train), len(validation)) == (30, 10)
    plain = numbers(load(config_of(shd_folder)))
    assert (train, validation) == plain
    said = refusal(shd_folder, N_TRAIN=100, AUGMENTATION=keys["AUGMENTATION"], N_VALIDATE=None)
    assert "N_VALIDATE=null: with AUGMENTATION.blend" in said
