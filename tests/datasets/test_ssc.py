"""SSC: files of SHD's layout, and a validation set of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from samples import make_config

from snnrun.datasets import Splits, commands, load
from snnrun.datasets.declaration import find
from snnrun.errors import ConfigError, DataError
from snnrun.schema import DATASETS


def read(folder: Path, **keys: Any) -> Splits:
    keys = {"N_VALIDATE": None, "EVALUATION": "validation_set"} | keys
    return load(make_config(dataset={"name": "ssc", "path": str(folder)}, **keys))


def slow_events(path: Path, example: int) -> list[tuple[int, int]]:
    """Return the (step, channel) pairs of one example: steps of 1 ms, a trial of 20 ms."""
    with h5py.File(path) as file:
        times, units = file["spikes/times"][example], file["spikes/units"][example]
    pairs = {(int(float(t) * 1000 + 1e-6), int(u)) for t, u in zip(times, units, strict=True)}
    return sorted(pair for pair in pairs if pair[0] < 20)


def test_each_split_holds_the_events_of_its_own_file(ssc_folder: Path) -> None:
    splits = read(ssc_folder)
    assert splits.validation is not None
    assert splits.test is not None
    for split, file in (("train", "train"), ("validation", "valid"), ("test", "test")):
        part = getattr(splits, split)
        assert part.examples.tolist() == list(range(len(part.data)))
        for example in range(len(part)):
            steps, channels = part.data.events(example)
            expected = slow_events(ssc_folder / f"ssc_{file}.h5", example)
            assert list(zip(steps.tolist(), channels.tolist(), strict=True)) == expected
    assert [len(split) for split in splits.all()] == [40, 20, 10]
    assert splits.train.data.n_classes == 35
    assert splits.train.data.class_names[34] == "word34"
    assert "40 train, 20 validation, 10 test" in splits.description


def test_parts_of_the_files_can_be_used(ssc_folder: Path) -> None:
    splits = read(ssc_folder, N_TRAIN=30, N_VALIDATE=8, N_TEST=5)
    assert [len(split) for split in splits.all()] == [30, 8, 5]
    again = read(ssc_folder, N_TRAIN=10, N_VALIDATE=8).validation
    other = read(ssc_folder, N_VALIDATE=8, TEST_DATA_SEED=1).validation
    assert np.array_equal(splits.validation.examples, again.examples)
    assert not np.array_equal(splits.validation.examples, other.examples)
    assert splits.validation.data is not splits.train.data


def test_the_validation_file_is_needed_only_where_it_is_used(ssc_folder: Path) -> None:
    (ssc_folder / "ssc_valid.h5").unlink()
    assert read(ssc_folder, N_VALIDATE=0).validation is None
    splits = read(ssc_folder, EVALUATION="random", N_VALIDATE=10)
    assert splits.validation.data is splits.train.data
    with pytest.raises(DataError, match=r"ssc_valid.h5 .*expected in") as caught:
        read(ssc_folder)
    assert "split the training file:     EVALUATION=random N_VALIDATE=NUMBER" in str(caught.value)


def test_classes_are_chosen_from_the_validation_file_too(ssc_folder: Path) -> None:
    splits = read(ssc_folder, REDUCED_CLASSES=(7, 3))
    assert splits.validation.examples.tolist() == [3, 7]
    assert splits.validation.labels.tolist() == [1, 0]
    assert splits.train.data.n_classes == splits.validation.data.n_classes == 2


def test_more_than_the_validation_file_holds_is_refused_before_it_is_read(
    ssc_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "snnrun.datasets.heidelberg.event_blocks", lambda *_: pytest.fail("was read")
    )
    with pytest.raises(
        DataError, match=r"N_VALIDATE=21 asks for more than the 20 examples of .*va"
    ):
        read(ssc_folder, N_VALIDATE=21)


@pytest.mark.parametrize("name", DATASETS)
def test_only_sets_with_a_validation_set_of_their_own_take_it(name: str) -> None:
    if not find(name).own_validation:
        with pytest.raises(ConfigError, match=rf"dataset {name} has no validation set of its own"):
            load(make_config(dataset={"name": name}, EVALUATION="validation_set"))


def test_info_and_fetch_know_the_three_files(
    ssc_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands.fetch(make_config(dataset={"name": "ssc"}), ssc_folder)
    commands.verify(make_config(dataset={"name": "ssc"}))
    capsys.readouterr()
    commands.info(make_config(dataset={"name": "ssc"}))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["train", "validation", "test"] in lines
    assert ["examples", "40", "20", "10"] in lines
    assert any(line[:2] == ["ssc_valid.h5", "validation"] for line in lines)
