"""`snnrun crossval`: a run for each speaker, a table of them, and going on after a stop."""

from __future__ import annotations

import csv
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from runs import assert_same_run, end, here, start, wait_for_epochs, write_shd

from snnrun import crossval
from snnrun.cli import main
from snnrun.config import validate
from snnrun.datasets.grid import Grid
from snnrun.record import load_run
from snnrun.record.paths import FoldPaths, RunPaths
from snnrun.run import train
from snnrun.terminal.folds import Fold, show_folds, write_folds

KEYS = [
    "preset=none",
    "dataset=shd",
    "NUM_HIDDEN=20",
    "N_EPOCH=2",
    "N_BATCH=5",
    "TRIAL_MS=80",
    "MODEL_SEED=1",
    "INPUT_HIDDEN_MEAN=0.4",
    "ETA_FAC=1",
    "AUGMENTATION={random_shift: 5}",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shd(tmp_path_factory.mktemp("shd"), examples=60, events=60)


@pytest.fixture(scope="module")
def done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a cross-validation over all three speakers."""
    folder = tmp_path_factory.mktemp("done") / "all"
    code = main(["crossval", *KEYS, f"dataset.path={data}", f"hydra.run.dir={folder}"])
    assert code == 0
    return folder


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def table(folder: Path) -> list[dict[str, str]]:
    with FoldPaths(folder).table.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.long
def test_each_speaker_is_left_out_by_a_run_of_its_own(done: Path) -> None:
    folders = [FoldPaths(done).fold(place) for place in range(3)]
    assert sorted(p for p in done.iterdir() if p.is_dir() and p.name != ".hydra") == folders
    for place, folder in enumerate(folders):
        run = load_run(folder)
        assert run.finished
        assert run.config["SPEAKER_LEFT"] == [place]
        assert (run.config["EVALUATION"], run.config["N_TRAIN"]) == ("speaker", None)
        assert run.config["MODEL_SEED"] == 1
        assert run.test == {}  # the test data have no part in it
        assert set(run.trials["examples"]) == {5}
        assert len(run.trials["trial"]) == 2 * (8 + 4)  # 40 of the others, 20 of the speaker


def test_the_table_holds_the_accuracies_their_mean_and_their_deviation(done: Path) -> None:
    *folds, mean, sd = table(done)
    assert [(fold["speaker_left"], fold["speaker"]) for fold in folds] == [
        ("0", "0"),
        ("1", "1"),
        ("2", "2"),
    ]
    for place, fold in enumerate(folds):
        epochs = load_run(FoldPaths(done).fold(place)).epochs
        accuracy = epochs["validation_accuracy"]
        assert float(fold["best_accuracy"]) == accuracy.max()
        assert int(fold["best_epoch"]) == accuracy.argmax()
        assert float(fold["last_accuracy"]) == accuracy[-1]
        assert float(fold["train_accuracy"]) == epochs["train_accuracy"][-1]
    for name in ("best_accuracy", "last_accuracy", "train_accuracy"):
        values = [float(fold[name]) for fold in folds]
        assert float(mean[name]) == pytest.approx(np.mean(values))
        assert float(sd[name]) == pytest.approx(np.std(values, ddof=1))
    assert (mean["speaker_left"], sd["speaker_left"]) == ("mean", "sd")


def fold(place: int, best: float) -> Fold:
    return Fold(
        speaker_left=place,
        speaker=place + 6,
        epochs=3,
        best_accuracy=best,
        best_epoch=1,
        last_accuracy=best / 2,
        train_accuracy=1.0,
    )


def test_the_printed_table_is_that_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show_folds([fold(0, 0.5), fold(2, 0.7)])
    heading, *lines = capsys.readouterr().out.splitlines()
    assert re.split("  +", heading) == [
        *("left out", "speaker", "epochs", "last%", "train%", "best%*", "in epoch*")
    ]
    assert [line.split() for line in lines[:4]] == [
        ["0", "6", "3", "25.00", "100.00", "50.00", "1"],
        ["2", "8", "3", "35.00", "100.00", "70.00", "1"],
        ["mean", "30.00", "100.00", "60.00"],
        ["sd", "7.07", "0.00", "14.14"],
    ]
    said = " ".join(lines[4:])
    assert "last%, the result: the speaker left out, after the last epoch" in said
    assert "Chosen on what it reports, it is too good" in said
    show_folds([fold(0, 0.5)])
    assert ["sd", "-", "-", "-"] in map(str.split, capsys.readouterr().out.splitlines())
    write_folds([fold(0, 0.5)], tmp_path / "one.csv")
    assert (tmp_path / "one.csv").read_text().splitlines()[-1] == "sd,,,,,,"


def test_runs_that_are_finished_are_not_run_again(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(done, folder)
    shutil.rmtree(FoldPaths(folder).fold(1))
    FoldPaths(folder).table.unlink()
    trained = []
    train = crossval.train
    monkeypatch.setattr(
        crossval, "train", lambda *a, **k: (trained.append(a[1]), train(*a, **k))[1]
    )
    assert main(["crossval", str(folder)]) == 0
    assert trained == [FoldPaths(folder).fold(1)]
    for place in range(3):
        assert_same_run(FoldPaths(folder).fold(place), FoldPaths(done).fold(place))
    assert FoldPaths(folder).table.read_text() == FoldPaths(done).table.read_text()
    assert re.search(r"^ +mean ", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.long
def test_a_cross_validation_that_was_stopped_goes_on_in_the_middle(
    done: Path, data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "stopped"
    words = [*KEYS, f"dataset.path={data}", "N_EPOCH=200", f"hydra.run.dir={folder}"]
    process = start("crossval", *words, "SPEAKER_LEFT=[1]")
    wait_for_epochs(FoldPaths(folder).fold(1), 1, process)
    process.send_signal(signal.SIGINT)
    code, said = end(process)
    assert code == 130
    assert f"snnrun crossval {folder}" in " ".join(said.split())
    assert not load_run(FoldPaths(folder).fold(1)).finished
    assert here("crossval", str(folder)).returncode == 0
    run = load_run(FoldPaths(folder).fold(1))
    assert (len(run.epochs["epoch"]), len(run.sessions)) == (200, 2)
    first = load_run(FoldPaths(done).fold(1)).epochs["train_loss"]
    np.testing.assert_array_equal(run.epochs["train_loss"][:2], first)


SELECTED = ["REDUCED_CLASSES=[0,3,7]", "RESCALE_X=0.1", "RESCALE_T=0.5", "N_TRAIN=5"]


@pytest.mark.parametrize("more", [[], pytest.param(SELECTED, marks=pytest.mark.long)])
def test_the_data_are_packed_once_and_the_runs_are_those_that_pack_their_own(
    more: list[str], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = []
    put = Grid.put
    monkeypatch.setattr(Grid, "put", lambda *a: (packed.append(1), put(*a))[1])
    words = [*KEYS, f"dataset.path={data}", *more]
    assert main(["crossval", *words, f"hydra.run.dir={tmp_path}/all"]) == 0
    assert len(packed) == 1
    for place in range(3):
        fold, alone = FoldPaths(tmp_path / "all").fold(place), tmp_path / f"alone{place}"
        train(validate(OmegaConf.load(RunPaths(fold).config)), alone)
        assert len(packed) == 2 + place
        assert_same_run(fold, alone)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["crossval", *words]) == 2
    return " ".join(capsys.readouterr().err.split())


def test_only_the_speakers_asked_for_are_left_out(data: Path, tmp_path: Path) -> None:
    words = [*KEYS, f"dataset.path={data}", "SPEAKER_LEFT=[2,0]", "N_EPOCH=1"]
    assert main(["crossval", *words, f"hydra.run.dir={tmp_path}/some"]) == 0
    assert [fold["speaker_left"] for fold in table(tmp_path / "some")] == ["2", "0", "mean", "sd"]


def test_what_a_preset_says_of_sizes_gives_way_to_the_speakers(data: Path, tmp_path: Path) -> None:
    preset = tmp_path / "conf" / "preset" / "mine.yaml"
    preset.parent.mkdir(parents=True)
    preset.write_text(
        "# @package _global_\ndefaults:\n  - override /dataset: shd\nN_VALIDATE: 7\nN_TRAIN: 9\n"
    )
    words = ["preset=mine", "--config-dir", str(tmp_path / "conf"), *KEYS[2:], "N_EPOCH=1"]
    words += [f"dataset.path={data}", "SPEAKER_LEFT=[2]", f"hydra.run.dir={tmp_path}/run"]
    assert main(["crossval", *words]) == 0
    assert len(load_run(tmp_path / "run" / "speaker02").trials["trial"]) == 12


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["SPEAKER_LEFT=[0,3]"], "SPEAKER_LEFT=[3]: shd has 3 speakers in its training data"),
        (["EVALUATION=random"], "EVALUATION=random: snnrun crossval leaves out speakers"),
        (["N_VALIDATE=9"], "N_VALIDATE=9: has no effect unless EVALUATION is not speaker"),
        (["N_TRAIN=41"], "N_TRAIN=41 asks for 41 examples"),
    ],
)
def test_what_cannot_be_cross_validated_is_refused_before_any_run(
    data: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, *KEYS, f"dataset.path={data}", *words)
    assert message in said
    assert not list(Path().glob("outputs/crossval/*/*/speaker*"))


@pytest.mark.parametrize("name", ["pattern", "yinyang", "mnist"])
def test_data_without_speakers_are_refused_by_their_name(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, f"dataset={name}")
    assert f"dataset={name}: has no speakers" in said
    assert "use dataset=dvs, shd or ssc" in said
    assert "N_TRAIN" not in said
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("command", ["resume", "test"])
def test_a_cross_validation_is_no_run(
    done: Path, tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, str(done)]) == 2
    assert f"which `snnrun crossval {done}` goes on with" in capsys.readouterr().err
    job = tmp_path / "outputs" / "multirun" / "day" / "time" / "0"
    shutil.copytree(done, job)
    assert main([command]) == 2  # nor is one of a multirun the newest run
    assert "there is no run in ./outputs" in capsys.readouterr().err


def test_folders_that_are_no_cross_validation_are_refused(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "holds no cross-validation: there is no" in refused(capsys, str(tmp_path))
    run = FoldPaths(done).fold(0)
    assert f"go on with `snnrun resume {run}`" in refused(capsys, str(run))
    said = refused(capsys, str(done), "N_EPOCH=9")
    assert "N_EPOCH=9: a cross-validation goes on as it began" in said
    assert "/nowhere: settings are given as KEY=VALUE" in refused(capsys, "/nowhere")
