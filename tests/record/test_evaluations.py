"""The tests of a run: every one is kept, with what was tested."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from record_samples import LABELS, PREDICTED, origin, resumed, sample_record, sample_test
from runs import comparable

from snnrun.record import load_run
from snnrun.record.evaluation import Weights, add_test
from snnrun.record.paths import RunPaths
from snnrun.record.reader import hold

BEST = Weights(kind="best", epochs=2)


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    """Return a finished run that made a test of its last weights."""
    paths = RunPaths(tmp_path / "run")
    record = sample_record(paths)
    record.add_test(sample_test(0.25))
    record.finish()
    record.write()
    return paths


def test_a_later_test_is_added_and_nothing_else_changes(paths: RunPaths) -> None:
    before, numbers = load_run(paths.root), comparable(paths.root)
    again = origin(name="again", seeds={"TEST_DATA_SEED": 7})
    add_test(paths, sample_test(0.5, weights=BEST, final=False, origin=again))
    add_test(paths, sample_test(0.75, weights=BEST, final=False, origin=again))
    run = load_run(paths.root)
    assert [test.figures["accuracy"] for test in run.tests] == [0.25, 0.5, 0.75]
    assert [test.final for test in run.tests] == [True, False, False]
    assert (run.test, run.finished, run.sessions) == (before.test, before.finished, before.sessions)
    np.testing.assert_equal(comparable(paths.root), numbers)
    with h5py.File(paths.run) as file:  # any viewer finds the predictions of an epoch as before
        assert file["predictions/e00002/train/prediction"].shape == (8,)


def test_a_test_says_what_was_tested(paths: RunPaths) -> None:
    config = {"dataset": {"name": "shd", "path": "elsewhere"}}
    again = origin(dataset="shd", seeds={"TEST_DATA_SEED": 7}) | {"config": str(config)}
    add_test(paths, sample_test(weights=BEST, final=False, n_examples=9, origin=again))
    own, later = load_run(paths.root).tests
    assert (own.weights, own.dataset, own.seed) == (Weights(kind="last", epochs=3), "yinyang", None)
    assert (later.weights, later.dataset, later.seed) == (BEST, "shd in elsewhere", 7)
    assert (later.n_examples, later.config) == (9, config)
    assert later.origin["command"]
    assert later.when.startswith("20")
    assert str(later.weights) == "best, after 2 epochs"
    assert str(Weights(kind="last", epochs=2, trials=5)).endswith("2 epochs and 5 mini-batches")


def test_a_run_may_test_several_weights_and_test_is_of_the_last(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path / "run")
    record = sample_record(paths)
    record.add_test(sample_test(0.25))
    record.add_test(sample_test(0.5, weights=BEST, confusion=None))
    record.write()
    run = load_run(paths.root)
    assert run.test["accuracy"] == 0.25
    assert [test.weights.kind for test in run.tests] == ["last", "best"]
    assert run.tests[1].confusion is None


def test_tests_outlast_a_resume(paths: RunPaths) -> None:
    add_test(paths, sample_test(0.5, weights=BEST, final=False))
    record = resumed(paths)
    record.truncate(3, 0)
    record.write()
    run = load_run(paths.root)
    assert run.test == {}
    assert [test.figures["accuracy"] for test in run.tests] == [0.25, 0.5]


def test_matrix_and_predictions_of_the_test_are_the_runs_own_or_else_the_latest(
    paths: RunPaths, tmp_path: Path
) -> None:
    other = np.array([1, 1, 1, 1])
    predicted = {"example": np.arange(4), "label": LABELS, "prediction": other}
    later = sample_test(final=False, confusion=np.full((4, 3), 5, np.int32), predictions=predicted)
    add_test(paths, later)
    run = load_run(paths.root)
    np.testing.assert_array_equal(run.predictions("test")["prediction"], PREDICTED)
    assert run.confusion("test").sum() == 3
    np.testing.assert_array_equal(run.tests[1].predictions["prediction"], other)
    np.testing.assert_array_equal(run.tests[1].confusion, later.confusion)

    bare = RunPaths(tmp_path / "bare")
    sample_record(bare).write()
    add_test(bare, later)
    for run in (load_run(bare.root), hold(load_run(bare.root))):
        np.testing.assert_array_equal(run.predictions("test")["prediction"], other)
        np.testing.assert_array_equal(run.confusion("test"), np.full((1, 3, 3), 5))
        np.testing.assert_array_equal(run.no_prediction("test"), np.full((1, 3), 5))


def test_a_run_of_an_older_snnrun_has_the_one_test_that_it_wrote(paths: RunPaths) -> None:
    with h5py.File(paths.run, "a") as file:
        del file["tests"]
    (test,) = load_run(paths.root).tests
    assert test.figures == load_run(paths.root).test
    assert test.weights == Weights(kind="last", epochs=3)
    assert test.when == load_run(paths.root).finished
    add_test(paths, sample_test(0.5, final=False))
    assert [test.final for test in load_run(paths.root).tests] == [True, False]
    with h5py.File(paths.run, "a") as file:  # and one that made none has none
        del file["tests"]
        del file["test"]["accuracy"], file["test"]["loss"]
    assert load_run(paths.root).tests == []
