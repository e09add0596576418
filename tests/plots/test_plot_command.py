"""`snnrun plot`: pictures from the records of runs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from runs import small, write_shd

from snnrun.cli import main
from snnrun.commands.plot import _each_run
from snnrun.config import from_dict
from snnrun.plots import confusion
from snnrun.plots.comparison import draw_comparison
from snnrun.plots.groups import Group, group
from snnrun.plots.records import Records
from snnrun.plots.saved import write_all
from snnrun.plots.style import new_figure
from snnrun.record.paths import RunPaths
from snnrun.record.reader import Run, load_run
from snnrun.record.saved import save_config
from snnrun.run import train

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs: a and b differ by their seed, c by its learning rate too."""
    from omegaconf import OmegaConf

    root = tmp_path_factory.mktemp("runs")
    keys = {"a": {}, "b": {"MODEL_SEED": 2, "N_EPOCH": 2}, "c": {"MODEL_SEED": 3, "ETA": 1e-2}}
    for name, changed in keys.items():
        config = small(TRAIN_TAU=True, COLLECT_CONFUSION=True, **changed)
        paths = RunPaths(root / name)
        paths.hydra.mkdir(parents=True)
        save_config(OmegaConf.create(config.to_dict()), paths.config)
        save_config(OmegaConf.create([]), paths.overrides)
        train(config, paths.root)
    return root


ALL = "activity activity_by_epoch confusion decisions network time_constants "
ALL += "time_constants_by_epoch training weights"


@pytest.mark.parametrize("what", ["confusion network", pytest.param(ALL, marks=pytest.mark.long)])
def test_one_run_gets_its_pictures_in_its_folder(
    runs: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    plots = RunPaths(runs / "a").plots
    names = what.split()
    words = [] if what == ALL else ["--what", ",".join(names)]
    assert main(["plot", str(runs / "a"), *words]) == 0
    files = [plots / f"{name}.png" for name in names]
    said = capsys.readouterr().out.split()
    assert sorted(said) == ([str(plots)] if what == ALL else sorted(map(str, files)))
    assert sorted(plots.iterdir()) == files
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in files)
    shutil.rmtree(plots)


def test_the_axes_of_the_confusion_have_the_names_of_the_classes_without_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_shd(tmp_path / "data", examples=100)
    digits = [f"{digit} {language}" for language in ("english", "german") for digit in range(10)]
    for file in folder.iterdir():
        with h5py.File(file, "a") as opened:
            opened["extra/keys"] = np.array(digits, "S")
    config = from_dict(
        {
            "dataset": {"name": "shd", "path": str(folder)},
            "NUM_HIDDEN": 4,
            "N_EPOCH": 1,
            "TRIAL_MS": 20.0,
            "N_TRAIN": 6,
            "N_VALIDATE": 4,
            "REDUCED_CLASSES": [1, 13],
            "COLLECT_CONFUSION": True,
        }
    )
    train(config, tmp_path / "run")
    shutil.rmtree(folder)
    axes = []
    draw = confusion._draw_matrix
    monkeypatch.setattr(
        confusion, "_draw_matrix", lambda a, *rest: (axes.append(a), draw(a, *rest))
    )
    run = load_run(tmp_path / "run")
    write_all(Records(run), ["confusion"])
    none = any(run.no_prediction(split)[-1].any() for split in ("validation", "test"))
    for one in axes:
        names = [label.get_text() for label in one.get_yticklabels()]
        assert names == ["1 english", "3 german"]
        shown = [label.get_text() for label in one.get_xticklabels()]
        assert shown == [*names, *["none"] * none]
    assert axes


@pytest.mark.parametrize(
    ("suffix", "begins"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")]
)
def test_output_has_the_format_of_its_name(
    suffix: str, begins: bytes, runs: Path, tmp_path: Path
) -> None:
    file = tmp_path / f"course.{suffix}"
    assert main(["plot", str(runs / "c"), "--output", str(file)]) == 0
    assert file.read_bytes().startswith(begins)
    assert not RunPaths(runs / "c").plots.exists()


def test_several_runs_are_one_picture(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plot", *(str(runs / name) for name in "abc")]) == 0
    assert os.listdir() == ["comparison.png"]


def test_the_folder_of_a_multirun_and_what_lies_in_it_stand_for_its_runs_once_each(
    runs: Path, tmp_path: Path
) -> None:
    (runs / "multirun.yaml").write_text("")
    inside = [str(path) for path in sorted(runs.iterdir())]
    one = [str(runs / name) for name in "abc"]
    assert any(path.endswith("multirun.yaml") for path in inside)
    for words in ([str(runs)], inside, [*one, one[0]]):
        assert _each_run(words) == one
    assert main(["plot", str(runs), "--output", str(tmp_path / "all.png")]) == 0
    (runs / "multirun.yaml").unlink()


def test_runs_that_differ_by_seeds_are_one_group_with_mean_and_deviation(runs: Path) -> None:
    a, b, c = (load_run(runs / name) for name in "abc")
    seeds, other = group([a, c, b])
    assert [one.told for one in (seeds, other)] == [["ETA=0.005"], ["ETA=0.01"]]
    epochs, mean, spread = seeds.mean_and_spread("train_loss")
    one, two = (run.epochs["train_loss"][:2] for run in (a, b))
    np.testing.assert_array_equal(epochs, [0, 1])  # as far as the shorter one came
    np.testing.assert_allclose(mean, (one + two) / 2, rtol=1e-15)
    np.testing.assert_allclose(spread, np.abs(one - two) / np.sqrt(2), rtol=1e-12)
    figure = new_figure()
    draw_comparison(figure, [seeds, other])
    lines = figure.axes[2].get_lines()  # training loss: the mean, its two runs, the other run
    np.testing.assert_array_equal(lines[0].get_ydata(), mean)
    np.testing.assert_array_equal(lines[1].get_ydata(), a.epochs["train_loss"])
    np.testing.assert_array_equal(lines[3].get_ydata(), c.epochs["train_loss"])
    for row in (figure.axes[:2], figure.axes[2:4]):  # training beside validation
        assert row[0].get_ylim() == row[1].get_ylim()


def test_settings_without_effect_tell_no_runs_apart(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = (load_run(runs / name) for name in "abc")
    delays = {"a": (0, 50.0), "b": (0, 60.0), "c": (5, 60.0)}  # copies of the inputs, ms
    changed = {
        run.paths.root: {**run.config, "ETA": 0.005, "N_INPUT_DELAY": n, "INPUT_DELAY": delay}
        for run, (n, delay) in zip((a, b, c), delays.values(), strict=True)
    }
    monkeypatch.setattr(Run, "config", property(lambda run: changed[run.paths.root]))
    without, with_delays = sorted(group([a, b, c]), key=lambda one: -len(one.runs))
    assert len(without.runs) == 2
    assert without.told == ["N_INPUT_DELAY=0"]
    assert with_delays.told == ["N_INPUT_DELAY=5"]  # the others have no INPUT_DELAY


def test_one_run_alone_has_no_spread(runs: Path) -> None:
    run = load_run(runs / "a")
    alone = Group(name="a", settings={}, task=run.task, runs=[run.epochs])
    _, mean, spread = alone.mean_and_spread("train_accuracy")
    np.testing.assert_array_equal(mean, run.epochs["train_accuracy"])
    assert not spread.any()


def test_a_run_without_epochs_or_records_has_nothing_to_plot(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(runs / "a" / ".hydra", tmp_path / "run" / ".hydra")
    assert main(["plot", str(tmp_path / "run")]) == 2
    assert "snnrun: error: " in capsys.readouterr().err
    from snnrun.record.writer import RunRecord

    origin = {"start_time": "2026-01-01", "config": "NAME: x"}
    RunRecord(RunPaths(tmp_path / "run"), origin, n_classes=3).write()
    assert main(["plot", str(tmp_path / "run")]) == 2
    assert "there is nothing to plot yet, since the run ended before" in capsys.readouterr().err
    others = [str(runs / name) for name in "ab"]
    file = tmp_path / "both.png"
    assert main(["plot", *others, str(tmp_path / "run"), "--output", str(file)]) == 0
    assert file.exists()
    said = capsys.readouterr().err
    assert f"left out: {tmp_path}/run: there is nothing to plot yet, since the run ended" in said
