from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from record_samples import (
    LABELS,
    PREDICTED,
    add_epoch,
    add_trial,
    end_epoch,
    origin,
    resumed,
    sample_record,
    sample_test,
)
from runs import WALL_CLOCK, assert_same_run, comparable

from snnrun.record import RecordError, load_run
from snnrun.record.paths import RunPaths
from snnrun.record.reader import hold
from snnrun.record.writer import RunRecord

MATRIX = [[1, 0, 0], [1, 0, 0], [0, 1, 0]]  # rows: predicted; columns: true, of one batch


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    return RunPaths(tmp_path / "run")


def test_every_batch_and_every_epoch_is_a_row(paths: RunPaths) -> None:
    sample_record(paths).write()
    run = load_run(paths.root)
    np.testing.assert_array_equal(run.trials["trial"], [0, 1, 2] * 3)
    np.testing.assert_array_equal(run.trials["phase"], [0, 0, 1] * 3)
    np.testing.assert_array_equal(run.trials["hidden_spikes/hidden"], [0, 10, 20] * 3)
    np.testing.assert_array_equal(run.epochs["epoch"], [0, 1, 2])
    np.testing.assert_array_equal(run.epochs["train_loss"], [1.5, 2.5, 3.5])
    np.testing.assert_array_equal(run.timings["forward"], [0.5, 0.5, 0.5])


def test_columns_carry_unit_and_meaning(paths: RunPaths) -> None:
    record = sample_record(paths)
    record.add_test(sample_test())
    record.write()

    def described(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and item.shape != ():
            assert item.attrs["meaning"], name

    with h5py.File(paths.run) as file:
        file.visititems(described)
        assert file["trials/seconds"].attrs["unit"] == "s"
        assert file["test/accuracy"].attrs["meaning"]


def test_class_names_are_kept_as_they_are_and_the_last_process_says_them(paths: RunPaths) -> None:
    sample_record(paths).write()
    assert load_run(paths.root).class_names == ()
    names = ("null", "f\u00fcnf", "no text: \udcff\0")
    record = resumed(paths, class_names=names)
    assert record.trials["epoch"].size
    record.write()
    run = load_run(paths.root)
    assert run.class_names == ("null", "f\u00fcnf", "no text: \\udcff\\0")
    assert hold(run).class_names == run.class_names
    with h5py.File(paths.run) as file:
        assert file["class_names"].attrs["meaning"]


def test_columns_of_the_clock_are_the_ones_with_seconds(paths: RunPaths) -> None:
    record = sample_record(paths)
    record.epoch({"epoch": 3, "examples_per_second": 5.0})
    record.add_test(sample_test(figures={"seconds": 1.0, "examples_per_second": 1.0, "loss": 1.0}))
    record.write()
    clocks = []

    def collect(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and item.attrs.get("unit") in ("s", "1/s"):
            clocks.append(name)

    with h5py.File(paths.run) as file:
        file.visititems(collect)
    assert clocks
    for name in clocks:
        assert name in WALL_CLOCK or name.partition("/")[0] in WALL_CLOCK, name
    assert not any("second" in name for name in comparable(paths.root))


def test_means_weigh_batches_by_their_examples(paths: RunPaths) -> None:
    record = RunRecord(paths, origin(), n_classes=3)
    add_trial(record, 0, 0, examples=4, loss=1.0, correct=3, seconds=0.5)
    add_trial(record, 0, 1, examples=1, loss=6.0, correct=0, seconds=0.5)
    means = record.means(0, "train")
    assert means == {"loss": 2.0, "accuracy": 0.6, "examples": 5, "seconds": 1.0}
    assert np.isnan(record.means(0, "validation")["loss"])
    assert record.means(1, "train")["examples"] == 0


def test_confusion_counts_predictions_in_rows(paths: RunPaths) -> None:
    sample_record(paths).write()
    run = load_run(paths.root)
    np.testing.assert_array_equal(run.confusion("train"), [2 * np.array(MATRIX)] * 3)
    np.testing.assert_array_equal(run.confusion("validation"), [MATRIX] * 3)
    np.testing.assert_array_equal(run.no_prediction("train"), [[0, 0, 2]] * 3)


def test_predictions_of_each_epoch_are_kept(paths: RunPaths) -> None:
    sample_record(paths).write()
    found = load_run(paths.root).predictions("train", 2)
    np.testing.assert_array_equal(found["example"], np.arange(8))
    np.testing.assert_array_equal(found["label"], np.tile(LABELS, 2))
    np.testing.assert_array_equal(found["prediction"], np.tile(PREDICTED, 2))
    with h5py.File(paths.run) as file:  # any viewer finds them through the link
        linked = file["predictions/e00002/train/prediction"][()]
    np.testing.assert_array_equal(linked, found["prediction"])


def test_nothing_is_collected_unless_asked_for(paths: RunPaths) -> None:
    paths.root.mkdir()
    record = RunRecord(paths, origin(), n_classes=3)
    add_epoch(record, 0)
    record.write()
    with h5py.File(paths.run) as file:
        assert "confusion" not in file
        assert "predictions" not in file
        assert len(file["pending"]) == 0
    assert not paths.records.exists()


def test_test_has_its_own_figures_matrix_and_predictions(paths: RunPaths) -> None:
    record = sample_record(paths)
    record.add_test(sample_test(0.25))
    record.finish()
    record.write()
    run = load_run(paths.root)
    assert run.test == {"accuracy": 0.25, "loss": 1.0}
    assert run.finished
    np.testing.assert_array_equal(run.confusion("test"), [MATRIX])
    np.testing.assert_array_equal(run.predictions("test")["prediction"], PREDICTED)


@pytest.mark.parametrize("cursor", [(0, 0), (0, 2), (1, 0), (1, 1), (2, 2), (3, 0)])
def test_resumed_record_ends_with_the_same_bits(
    tmp_path: Path, paths: RunPaths, cursor: tuple[int, int]
) -> None:
    expected = RunPaths(tmp_path / "expected")
    sample_record(expected).write()
    killed = sample_record(paths)
    killed.add_test(sample_test(1.0))
    killed.finish()
    killed.write()

    record = resumed(paths)
    record.truncate(*cursor)
    cursors = list(zip(record.trials["epoch"], record.trials["trial"], strict=True))
    assert cursors == [(e, t) for e in range(3) for t in range(3) if (e, t) < cursor]
    np.testing.assert_array_equal(record.epochs["epoch"], np.arange(cursor[0]))
    record.write()
    assert not load_run(paths.root).finished
    assert load_run(paths.root).test == {}
    resume(record, cursor)
    record.write()

    assert_same_run(paths.root, expected.root, checkpoints=False)
    sessions = load_run(paths.root).sessions
    assert len(sessions) == 2
    assert (sessions[1]["from_epoch"], sessions[1]["from_trial"]) == cursor
    assert sessions[1]["created"] == sessions[0]["start_time"]


def resume(record: RunRecord, cursor: tuple[int, int]) -> None:
    for epoch in range(cursor[0], 3):
        for trial in range(cursor[1] if epoch == cursor[0] else 0, 3):
            add_trial(record, epoch, trial, "validation" if trial == 2 else "train")
        end_epoch(record, epoch)


def test_predictions_needed_for_a_resume_are_forgotten_after_the_checkpoint(
    paths: RunPaths,
) -> None:
    record = sample_record(paths)
    add_trial(record, 3, 0)
    record.checkpointed(3)
    record.write()
    with h5py.File(paths.run) as file:
        np.testing.assert_array_equal(file["pending/epoch"], [3] * 4)


def test_record_of_a_newer_snnrun_is_refused(paths: RunPaths) -> None:
    sample_record(paths).write()
    with h5py.File(paths.run, "a") as file:
        file.attrs["format"] = 99
    with pytest.raises(RecordError, match=r"newer snnrun .*Upgrade"):
        resumed(paths)
