"""Stored weights on data sets and arrays; resuming, listing and drawing runs from Python."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from runs import LONG, SMALL, TABLE, TIMEOUT_S, assert_same_run

import snnrun
from snnrun import Run
from snnrun.errors import CheckpointError, ConfigError, DataError, RecordError, SnnrunError

pytestmark = pytest.mark.usefixtures("places")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("trained") / "run"
    keys = {**TABLE, **SMALL, "REC_PREDICTIONS": True, "COLLECT_CONFUSION": True, "N_EPOCH": 4}
    return snnrun.train(keys, folder, progress=False)


# evaluate


def test_the_test_set_gives_the_figures_of_the_run(trained: Run) -> None:
    found = snnrun.evaluate(trained)
    assert found.accuracy == trained.test["accuracy"]
    assert found.loss == trained.test["loss"]
    recorded = trained.predictions("test")
    np.testing.assert_array_equal(found.predictions, recorded["prediction"])
    np.testing.assert_array_equal(found.examples, recorded["example"])
    np.testing.assert_array_equal(found.labels, recorded["label"])
    assert (found.weights, found.epochs, found.scores, found.spikes) == ("last", 4, None, {})
    assert repr(found).startswith("<Evaluation: 50 examples, last weights (epochs: 4), accuracy ")


def test_validation_is_that_of_the_last_epoch_and_training_is_neither_shuffled_nor_changed(
    trained: Run,
) -> None:
    found = snnrun.evaluate(trained.paths.root, "validation")
    assert found.accuracy == trained.accuracy["validation"]
    found = snnrun.evaluate(trained, "train")
    assert len(found.predictions) == SMALL["N_TRAIN"]
    assert (np.diff(found.examples) > 0).all()


def test_the_best_weights_give_the_best_epochs_validation(trained: Run) -> None:
    found = snnrun.evaluate(trained, "validation", weights="best")
    assert found.accuracy == trained.epochs["validation_accuracy"].max()
    assert found.epochs == trained.epochs["validation_accuracy"].argmax() + 1


def test_spikes_and_scores_come_with_the_same_predictions(trained: Run) -> None:
    found = snnrun.evaluate(trained, scores=True, spikes=["input", "hidden", "output"])
    decided = found.predictions >= 0
    assert found.scores is not None
    assert found.scores.shape == (50, 3)
    np.testing.assert_array_equal(found.scores[decided].argmax(1), found.predictions[decided])
    assert found.spikes["hidden"].n_neurons == SMALL["NUM_HIDDEN"]
    counts = {name: spikes.counts() for name, spikes in found.spikes.items()}
    assert counts["input"].shape == (50, 5)
    per_neuron = counts["hidden"].sum() / 50 / SMALL["NUM_HIDDEN"]
    assert per_neuron == pytest.approx(trained.test["spikes_per_neuron/hidden"])
    np.testing.assert_array_equal(counts["output"].any(1), decided)


def test_arrays_of_spikes_are_what_the_data_set_is(trained: Run) -> None:
    whole = snnrun.evaluate(trained, spikes=["input"])
    pairs = [whole.spikes["input"].example(k) for k in range(50)]
    # a spike that begins a step is given in its middle, where rounding moves nothing
    pairs = [(times + 0.05, channels) for times, channels in pairs]
    found = snnrun.evaluate(trained, pairs, labels=whole.labels)
    np.testing.assert_array_equal(found.predictions, whole.predictions)
    np.testing.assert_array_equal(found.losses, whole.losses)
    counts = np.zeros((50, 150, 5), bool)
    for example, (times, channels) in enumerate(pairs):
        counts[example, (times / 0.2).astype(int), channels] = True
    unlabelled = snnrun.evaluate(trained, counts)
    np.testing.assert_array_equal(unlabelled.predictions, whole.predictions)
    assert (unlabelled.labels, unlabelled.losses) == (None, None)
    assert np.isnan(unlabelled.accuracy)
    assert np.isnan(unlabelled.loss)


def test_keys_choose_another_test_set(trained: Run) -> None:
    found = snnrun.evaluate(trained, keys={"N_TEST": 20, "TEST_DATA_SEED": 9})
    assert len(found.predictions) == 20


def test_evaluating_leaves_the_run_as_it_was(trained: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.paths.root.rglob("*")}
    snnrun.evaluate(trained, scores=True)
    assert {path: path.stat().st_mtime_ns for path in trained.paths.root.rglob("*")} == before


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"data": "tset"}, ConfigError, "data='tset': must be train, validation or test"),
        ({"weights": "first"}, ConfigError, "weights='first': must be last or best"),
        ({"spikes": ["hiden"]}, ConfigError, "spikes: 'hiden' must be one of input, hidden"),
        ({"labels": [1]}, ConfigError, "labels: those of 'test' are in the data set"),
        ({"data": np.zeros((2, 150, 4))}, DataError, "this network takes [examples, 150 steps, 5"),
        ({"data": np.full((2, 150, 5), 0.5)}, DataError, "counts spikes: 0, 1, 2"),
        ({"data": [([1.0], [7])]}, DataError, "7"),
        ({"data": [([1.0, 2.0], [1])]}, DataError, "example 0 has times of shape (2,)"),
        ({"data": [([1.0], [1])], "labels": [5]}, DataError, "labels run from 5 to 5"),
        ({"data": 3}, DataError, "data: must be 'train', 'validation' or 'test'"),
        ({"keys": {"ETA": 1.0}}, ConfigError, "cannot be changed by `snnrun test`"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(
    trained: Run, arguments: Any, error: type[SnnrunError], message: str
) -> None:
    with pytest.raises(error) as raised:
        snnrun.evaluate(trained, **arguments)
    assert message in str(raised.value)


def test_a_run_that_kept_nothing_on_disk_has_no_weights() -> None:
    run = snnrun.train({**TABLE, **SMALL, "N_EPOCH": 1, "WRITE_TO_DISK": False}, progress=False)
    with pytest.raises(RecordError, match="kept nothing on disk"):
        snnrun.evaluate(run)
    with pytest.raises(CheckpointError, match="does not exist"):
        snnrun.evaluate("nowhere")


# resume


def test_resuming_gives_the_bits_of_a_longer_run(tmp_path: Path) -> None:
    run = snnrun.train({**TABLE, **SMALL, "N_EPOCH": 2}, tmp_path / "short", progress=False)
    keys = {"N_EPOCH": 4, "backend": {"threads": 1}, "REC_SPIKES": ["hidden"]}
    run = snnrun.resume(run, {**keys, "REC_SPIKES_EPOCH_TRIAL": [[3, 0]]}, progress=False)
    assert len(run.epochs["epoch"]) == 4
    assert run.config["backend"]["threads"] == 1
    assert run.recorded()["spikes"] == [(3, 0)]
    recorded = {"REC_SPIKES": ["hidden"], "REC_SPIKES_EPOCH_TRIAL": [[3, 0]]}
    snnrun.train({**TABLE, **SMALL, **recorded, "N_EPOCH": 4}, tmp_path / "long", progress=False)
    assert_same_run(tmp_path / "short", tmp_path / "long")


def test_a_function_sees_each_epoch_and_may_end_the_training(tmp_path: Path) -> None:
    seen = []

    def enough(figures: Mapping[str, Any]) -> bool:
        seen.append((figures["epoch"], figures["validation_accuracy"]))
        return figures["epoch"] == 1

    run = snnrun.train({**TABLE, **SMALL}, tmp_path / "run", progress=False, on_epoch=enough)
    assert seen == list(enumerate(run.epochs["validation_accuracy"]))
    assert (len(seen), bool(run.finished), "on_epoch" in run.ended_early) == (2, True, True)
    assert "accuracy" in run.test
    snnrun.resume(run, {"N_EPOCH": 4}, progress=False, on_epoch=lambda figures: seen.append(1))
    assert seen[2:] == [1, 1]


# lists and pictures


def test_runs_are_a_table_that_pandas_takes(trained: Run) -> None:
    assert repr(snnrun.runs()) == "no runs"
    snnrun.train({**TABLE, **SMALL, "N_EPOCH": 1, "NAME": "<first>"}, progress=False)
    snnrun.train({**TABLE, **SMALL, "N_EPOCH": 2, "NAME": "second"}, progress=False)
    table = snnrun.runs()
    frame = pd.DataFrame(table)
    assert list(frame["name"]) == ["second", "<first>"]
    assert frame["validation_score"].between(0, 1).all()
    assert list(frame["epochs"]) == list(frame["n_epochs"]) == [2, 1]
    assert frame["created"].is_monotonic_decreasing
    assert len(repr(table).splitlines()) == 3
    assert "&lt;first&gt;" in table._repr_html_()
    with pytest.raises(ConfigError, match="there is no such folder"):
        snnrun.runs("elsewhere")


def test_a_picture_is_a_figure_that_a_notebook_shows(trained: Run, tmp_path: Path) -> None:
    figure = snnrun.plot(trained, tmp_path / "course.pdf")
    assert isinstance(figure, Figure)
    assert (tmp_path / "course.pdf").read_bytes().startswith(b"%PDF")
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    both = snnrun.plot([trained, trained.paths.root])
    assert len(both.axes) > 1
    assert len(snnrun.plot(trained, what="weights").axes) > 1
    with pytest.raises(ConfigError, match=r"what='weights': is for one run, and these are 2"):
        snnrun.plot([trained, trained], what="weights")
    with pytest.raises(ConfigError, match=r"there is no such picture\. Did you mean 'weights'"):
        snnrun.plot(trained, what="wheights")
    with pytest.raises(ConfigError, match=r"--epoch: has no effect on training"):
        snnrun.plot(trained, epoch=3)
    with pytest.raises(ConfigError, match=r"file=course\.bmp: must end in one of"):
        snnrun.plot(trained, "course.bmp")


def test_a_run_shows_itself_in_ten_lines_and_as_a_table(trained: Run) -> None:
    text = repr(trained)
    assert len(text.splitlines()) <= 10
    accuracy = f"test {100 * trained.test['accuracy']:.2f} %"
    assert accuracy in text
    assert accuracy in trained._repr_html_()
    assert trained._repr_html_().count("<tr>") == len(text.splitlines())


# errors


def test_a_script_shows_its_own_line_and_the_message_only() -> None:
    code = f"import snnrun\nsnnrun.train({{**{TABLE | LONG!r}, 'ETAA': 1}})\n"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 1
    assert "ETAA: there is no such key" in done.stderr.splitlines()[-1]
    assert done.stderr.count("\n  File ") == 2
    assert "During handling" not in done.stderr
