"""What tells data apart, and runs that find other data when they go on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from runs import write_shd

from snnrun.cli import main
from snnrun.config import from_dict
from snnrun.datasets import Splits, load
from snnrun.datasets.fingerprint import differences, fingerprint, to_text
from snnrun.record import load_run
from snnrun.record.hdf5 import atomic_hdf5
from snnrun.record.paths import RunPaths

POINTS = {"dataset": "yinyang", "N_TRAIN": 300, "N_VALIDATE": 50, "N_TEST": 40}


def points(**keys: Any) -> Splits:
    return load(from_dict({**POINTS, **keys}))


def test_the_same_data_have_the_same_fingerprint() -> None:
    first, again = fingerprint(points(), 40), fingerprint(points(), 40)
    assert first == again
    assert first["train"]["examples"] == 300
    assert first["train"]["events"] == 1500
    assert (first["test"]["classes"], first["test"]["channels"]) == (3, 5)
    assert differences(to_text(first), again) == ""


def hash_with(splits: Splits, name: str, array: np.ndarray) -> Any:
    """Return the hash of the training data with another array, which its checks may not pass."""

    def changed(whole: Any, **parts: Any) -> Any:
        other = object.__new__(type(whole))
        other.__dict__.update(whole.__dict__ | parts)
        return other

    train = changed(splits.train, data=changed(splits.train.data, **{name: array}))
    return fingerprint(changed(splits, train=train))["train"]["hash"]


def test_any_change_changes_the_hash() -> None:
    splits = points(N_TRAIN=30000)
    data = splits.train.data
    assert data.channel_pointers.nbytes > 8 * (1 << 16)  # it is hashed in several runs
    seen = {fingerprint(splits)["train"]["hash"]}
    for name in ("step_by_channel", "labels", "channel_pointers"):
        array = getattr(data, name)
        assert hash_with(splits, name, array.copy()) in seen
        for place in (0, 7, array.size // 2, array.size - 1):
            other = array.copy()
            other.flat[place] ^= 1
            seen.add(hash_with(splits, name, other))
    fewer = replace(splits, train=replace(splits.train, examples=splits.train.examples[1:]))
    seen.add(fingerprint(fewer)["train"]["hash"])
    assert len(seen) == 1 + 3 * 4 + 1


def test_differences_name_what_differs() -> None:
    before = to_text(fingerprint(points(), 40))
    longer = differences(before, fingerprint(points(N_TRAIN=310), 40))
    assert longer == "train: 310 examples (were 300), 1,550 events (were 1,500)"
    other = differences(before, fingerprint(points(TEST_DATA_SEED=9), 40))
    assert other.split("; ")[0].startswith("validation: equal counts, but other content")
    assert [line.split(":")[0] for line in other.split("; ")] == ["validation", "test"]
    assert differences(before, fingerprint(points(N_TEST=60), 60)) == ""  # another test was asked
    splits = points()
    fewer = fingerprint(replace(splits, train=replace(splits.train, examples=np.arange(5))), 40)
    assert differences(before, fewer) == "train: 5 of its examples (were 300)"


def test_what_an_older_version_did_not_count_is_not_compared() -> None:
    now = fingerprint(points(), 40)
    older = {split: {k: v for k, v in part.items() if k != "chosen"} for split, part in now.items()}
    assert differences(to_text(older), now) == ""


KEYS = [
    "dataset=shd",
    "preset=none",
    "NUM_HIDDEN=20",
    "N_BATCH=5",
    "TRIAL_MS=80",
    "ETA_FAC=1",
    "N_TEST=0",
    "N_TRAIN=null",
    "N_VALIDATE=10",
    "INPUT_HIDDEN_MEAN=0.4",
    "MODEL_SEED=1",
]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of one epoch, and the data that it was trained on."""
    folder = tmp_path_factory.mktemp("same")
    write_shd(folder / "data", examples=40, events=60)
    words = [*KEYS, f"dataset.path={folder / 'data'}", "N_EPOCH=1"]
    assert main(["train", *words, f"hydra.run.dir={folder / 'run'}"]) == 0
    return folder


@pytest.fixture
def run(stopped: Path, tmp_path: Path) -> Path:
    """A copy of the run and of its data, which its configuration still names elsewhere."""
    shutil.copytree(stopped / "run", tmp_path / "run")
    shutil.copytree(stopped / "data", tmp_path / "data")
    return tmp_path / "run"


def resumed(run: Path, *words: str) -> int:
    return main(["resume", str(run), "N_EPOCH=2", f"dataset.path={run.parent / 'data'}", *words])


def relabelled(folder: Path) -> None:
    with h5py.File(folder / "shd_train.h5", "r+") as file:
        file["labels"][3] = (file["labels"][3] + 1) % 20


def written_anew(folder: Path) -> None:
    write_shd(folder, examples=50, events=60)


def test_a_run_goes_on_with_its_data_wherever_they_lie(run: Path) -> None:
    assert resumed(run) == 0
    record = load_run(run)
    assert record.finished
    noted = [json.loads(str(session["data"])) for session in record.sessions]
    assert noted[0] == noted[1]
    assert noted[0]["train"]["examples"] == 40


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (relabelled, "train: equal counts, but other content"),
        (written_anew, "train: 50 examples (were 40), "),
    ],
)
def test_a_run_does_not_go_on_with_other_data_unless_told_to(
    run: Path, change: Callable[[Path], None], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(run.parent / "data")
    before = RunPaths(run).run.read_bytes()
    assert resumed(run) == 2
    said = capsys.readouterr().err
    assert message in said
    assert f"snnrun resume {run} dataset.changed=accept" in said.splitlines()[-1]
    assert len(load_run(run).sessions) == 1
    assert load_run(run).epochs["epoch"].tolist() == [0]
    assert len(before) == RunPaths(run).run.stat().st_size
    assert resumed(run, "dataset.changed=accept") == 0
    record = load_run(run)
    assert record.finished
    assert len(record.epochs["epoch"]) == 2
    at = list(record.warnings["what"]).index("other data")
    assert message in record.warnings["message"][at]


def test_a_run_that_noted_nothing_of_its_data_goes_on(run: Path) -> None:
    path = RunPaths(run).run
    with h5py.File(path, "r") as old, atomic_hdf5(path) as new:
        for name in old:
            old.copy(name, new)
        for name, value in old.attrs.items():
            if name != "data":
                new.attrs[name] = value
    relabelled(run.parent / "data")
    assert resumed(run) == 0
    assert "data" in load_run(run).provenance
