"""Kinds of task: what is told of a score, and runs of older versions, which do not name theirs."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from record_samples import add_trial, origin

from snnrun import load_run
from snnrun.errors import SnnrunError
from snnrun.record.evaluation import Evaluation, Weights, now
from snnrun.record.paths import RunPaths
from snnrun.record.writer import RunRecord
from snnrun.sweeps.runs import find_runs
from snnrun.tasks import CLASSIFICATION, SPIKE_PATTERN, TASKS
from snnrun.tasks.spike_pattern import FIGURES
from snnrun.terminal.format import epoch_cells, epoch_heading
from snnrun.terminal.tests import table_of_tests

RATIOS = (0.9, 0.25)


def pattern_record(paths: RunPaths) -> RunRecord:
    record = RunRecord(paths, origin(dataset="pattern"), task=SPIKE_PATTERN, n_classes=2)
    for epoch, ratio in enumerate(RATIOS):
        for trial, figure in enumerate((1.5, ratio)):
            figures = dict.fromkeys(FIGURES, figure)
            add_trial(record, epoch, trial, examples=1, loss=100 * figure, figures=figures)
        means = record.means(epoch, "train")
        row = {name: means[name] for name in FIGURES}
        record.epoch(
            {"epoch": epoch, "train_loss": means["loss"], "train_skill": means["skill"]} | row
        )
    return record


def pattern_test() -> Evaluation:
    figures = {name: np.array([1.0, np.nan, 0.5]) for name in FIGURES}
    found = SPIKE_PATTERN.of_test(np.array([3.0, 2.0]), np.zeros(2), np.zeros(2), figures)
    assert (found["loss"], found["skill"], found["error_ratio"]) == (2.0, 0.5, 0.5)
    assert found["hits_5ms"] == 0.75
    return Evaluation(
        weights=Weights(kind="last", epochs=2),
        figures=found,
        final=True,
        n_examples=2,
        when=now(),
        origin=origin(),
    )


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    paths = RunPaths(tmp_path / "outputs" / "run")
    paths.root.mkdir(parents=True)
    record = pattern_record(paths)
    record.add_test(pattern_test())
    record.finish()
    record.write()
    return paths


def test_an_epoch_of_a_pattern_has_the_figures_of_its_last_example(paths: RunPaths) -> None:
    run = load_run(paths.root)
    np.testing.assert_allclose(run.epochs["train_skill"], 1 - np.array(RATIOS))
    np.testing.assert_allclose(run.epochs["train_loss"], 100 * np.array(RATIOS))
    assert run.score == {"train": 0.75, "test": 0.5}
    assert run.accuracy == {}
    (said,) = run.task.about(run.epochs, run.score, run.loss)
    assert said == ("error", "0.250 of that of silent outputs, last epoch")
    (line,) = find_runs(paths.root.parents[1])
    assert (line.train_score, line.test_score) == (0.75, 0.5)


def test_runs_of_older_versions_called_the_skill_accuracy(paths: RunPaths) -> None:
    today = load_run(paths.root)
    with h5py.File(paths.run, "a") as file:
        del file.attrs["task"]
        for group, old, new in (
            ("epochs", "train_accuracy", "train_skill"),
            ("test", "accuracy", "skill"),
            ("tests/0/figures", "accuracy", "skill"),
        ):
            file[group].move(new, old)
    found = load_run(paths.root)
    assert found.task is SPIKE_PATTERN
    assert (found.score, found.test) == (today.score, today.test)
    assert found.tests[0].figures == today.tests[0].figures
    record = RunRecord(paths, origin(), task=SPIKE_PATTERN, n_classes=2)
    record.resume()
    np.testing.assert_array_equal(record.epochs["train_skill"], today.epochs["train_skill"])


def test_a_task_of_a_newer_version_is_refused_by_name(paths: RunPaths) -> None:
    with h5py.File(paths.run, "a") as file:
        file.attrs["task"] = "telepathy"
    with pytest.raises(SnnrunError, match="task 'telepathy' is unknown"):
        load_run(paths.root)


def test_the_table_of_epochs_shows_the_figures_of_the_task() -> None:
    row = {"epoch": 1, "train_loss": 7.0, "error_ratio": 0.25, "hits_5ms": 0.5, "spurious_5ms": 0.1}
    cells = epoch_cells(row, ["hidden"], SPIKE_PATTERN, None)
    assert [cell.strip() for cell in cells[1:5]] == ["7.0000", "0.2500", "50.00%", "10.00%"]
    _, above, below = epoch_heading(["hidden"], range(10), SPIKE_PATTERN)
    assert "error      within 5 ms" in above
    assert below.split()[:5] == ["epoch", "loss", "ratio", "hits", "spur."]


def test_every_task_words_its_score_in_few_characters() -> None:
    assert (CLASSIFICATION.cell(0.98123), SPIKE_PATTERN.cell(0.75)) == ("98.12%", "0.2500")
    assert SPIKE_PATTERN.says(0.75) == "error 0.250 of that of silent outputs"
    for task in TASKS.values():
        assert task.cell(None) == task.cell(float("nan")) == "-"
        assert max(len(task.cell(score)) for score in (-1e6, -1.0, 0.0, 0.5, 1.0)) <= 14
        assert task.chance(np.array([0, 0, 1, 2])) == (0.5 if task is CLASSIFICATION else 0.0)
    heading, line = table_of_tests([pattern_test()], SPIKE_PATTERN)
    assert "error" in heading
    assert " 0.5000 " in line
