"""Runs that end before their last epoch: no progress, no time left, a function that says so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import LONG, OPTIMISED, SMALL, assert_same_run, here, overrides, small, snnrun

from snnrun import train as train_from_python
from snnrun.cli import main
from snnrun.config import from_dict
from snnrun.errors import ConfigError, NumericalError
from snnrun.interruption import Interrupted
from snnrun.record import load_run
from snnrun.record.ending import read_end
from snnrun.record.paths import RunPaths
from snnrun.run import train, train_in
from snnrun.tasks import CLASSIFICATION
from snnrun.training.early import out_of_patience

# learns within three epochs, after which the accuracy goes up and down
KEYS: dict[str, Any] = {
    **OPTIMISED,
    "N_TRAIN": 1000,
    "N_VALIDATE": 60,
    "ETA": 0.02,
    "ETA_DECAY": 1.0,
    "N_EPOCH": 14,
}
TOO_SHORT = 0.02  # minutes


def patience(column: list[float], epochs: int, which: str = "validation") -> str:
    figures = {
        "epoch": np.arange(len(column)),
        "train_accuracy": np.array(column[::-1]),
        "validation_accuracy": np.array(column),
    }
    return out_of_patience(figures, small(PATIENCE=epochs, PATIENCE_WHICH=which), CLASSIFICATION)


def test_patience_counts_epochs_without_anything_better() -> None:
    assert patience([0.5, 0.9, 0.8, 0.7], 3) == ""
    assert patience([0.5, 0.9, 0.8, 0.7, 0.6], 3) == (
        "stopped early after epoch 4: no better validation accuracy for 3 epochs (the best was "
        "90.00%, in epoch 1)"
    )
    assert patience([0.5, 0.9, 0.8, 0.7, 0.91], 3) == ""
    assert "for 1 epoch (" in patience([0.9, 0.9], 1)  # as good is no better
    assert patience([np.nan, np.nan], 1) == ""
    assert "training accuracy" in patience([0.7, 0.8, 0.9], 2, "training")
    assert patience([0.9, 0.8, 0.7], 2, "training") == ""


def expected_end(accuracy: np.ndarray, epochs: int) -> int:
    """Return after how many epochs a run with this patience ends."""
    for n in range(1, len(accuracy) + 1):
        if n - 1 - int(np.argmax(accuracy[:n])) >= epochs:
            return n
    return len(accuracy)


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Mapping[int, Path]:
    """Runs with patience 1, 3 and, to the last epoch, 100."""
    top = tmp_path_factory.mktemp("patience")
    folders = {epochs: top / "outputs" / str(epochs) for epochs in (1, 3, 100)}
    for epochs, folder in folders.items():
        train(small(**KEYS, PATIENCE=epochs), folder)
    return folders


@pytest.mark.long
def test_a_run_out_of_patience_is_finished_and_tested(impatient: Mapping[int, Path]) -> None:
    whole = load_run(impatient[100])
    accuracy = whole.epochs["validation_accuracy"]
    ends = {epochs: expected_end(accuracy, epochs) for epochs in impatient}
    assert ends[1] < ends[3] < ends[100] == KEYS["N_EPOCH"]
    assert (whole.ended_early, "ended  " in (impatient[100] / "run.log").read_text()) == ("", False)
    for epochs in (1, 3):
        run, paths = load_run(impatient[epochs]), RunPaths(impatient[epochs])
        np.testing.assert_array_equal(run.epochs["validation_accuracy"], accuracy[: ends[epochs]])
        reason = f"stopped early after epoch {ends[epochs] - 1}: no better validation accuracy"
        assert run.ended_early.startswith(reason)
        assert reason in paths.log.read_text()
        assert run.finished
        assert "accuracy" in run.test
        assert read_end(paths, bool(run.finished)).state == "finished"
        assert paths.last.exists()
    listed = here("runs", str(impatient[1].parents[1])).stdout
    assert f"{ends[1]}/{KEYS['N_EPOCH']}" in listed
    assert listed.count("finished") == 3


@pytest.mark.long
def test_more_patience_goes_on_to_the_bits_of_a_run_that_had_it_from_the_start(
    impatient: Mapping[int, Path], tmp_path: Path
) -> None:
    for epochs in (3, 100):
        folder = tmp_path / str(epochs)
        train(small(**KEYS, PATIENCE=1), folder)
        train(small(**KEYS, PATIENCE=epochs), folder, True)
        assert_same_run(folder, impatient[epochs])


@pytest.mark.long
def test_the_same_patience_trains_nothing_more(
    impatient: Mapping[int, Path], tmp_path: Path
) -> None:
    train(small(**KEYS, PATIENCE=1), tmp_path)
    train(small(**KEYS, PATIENCE=1), tmp_path, True)
    assert_same_run(tmp_path, impatient[1])
    assert load_run(tmp_path).ended_early


@pytest.mark.long
def test_what_an_ended_run_says_to_go_on_with_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train_from_python({**SMALL, **KEYS, "PATIENCE": 1}, tmp_path / "run", progress=False)
    assert main(["resume", str(run.paths.root)]) == 0
    said = capsys.readouterr().out
    assert f"finished, {run.ended_early}; nothing was changed. To train it for longer:" in said
    assert f"snnrun resume {run.paths.root} PATIENCE=2" in said
    log = " ".join(run.paths.log.read_text().split())
    assert "N_EPOCH=28" not in log
    command = log[log.rindex("snnrun resume") :].split()
    assert command[1:] == ["resume", str(run.paths.root), "PATIENCE=2"]
    assert main(command[1:]) == 0
    assert len(load_run(run.paths.root).epochs["epoch"]) > len(run.epochs["epoch"])


def test_patience_needs_what_it_waits_for() -> None:
    assert small(PATIENCE=3).PATIENCE_WHICH == "validation"
    assert small(N_VALIDATE=0, PATIENCE=3).PATIENCE_WHICH == "training"  # there is nothing else
    assert from_dict({"dataset": "pattern", "PATIENCE": 5}).PATIENCE_WHICH == "training"
    with pytest.raises(ConfigError, match=r"PATIENCE=0: must be a whole number >= 1, or null"):
        small(PATIENCE=0)
    with pytest.raises(ConfigError, match=r"TIME_LIMIT=0: must be a number > 0 \(min\), or null"):
        small(TIME_LIMIT=0)


@pytest.mark.long
def test_a_run_whose_time_is_up_stops_and_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    keys = {**SMALL, "N_TRAIN": 2000, "N_EPOCH": 1000}
    paths = RunPaths(tmp_path / "stopped")
    words = [*overrides({**keys, "TIME_LIMIT": TOO_SHORT}), f"hydra.run.dir={paths.root}"]
    done = snnrun("train", *words)
    assert done.returncode == 124, done.stderr
    assert f"stopped: by TIME_LIMIT={TOO_SHORT} (minutes)" in done.stdout
    assert read_end(paths, False).state == "stopped"
    end = 2 + len(load_run(paths.root).epochs.get("epoch", ()))
    done = here("resume", str(paths.root), "TIME_LIMIT=null", f"N_EPOCH={end}")
    assert done.returncode == 0, done.stderr
    train(from_dict({**keys, "N_EPOCH": end}), tmp_path / "whole")
    assert_same_run(paths.root, tmp_path / "whole")


@pytest.mark.usefixtures("places")
@pytest.mark.long
def test_the_time_limit_is_that_of_each_run_of_a_multirun() -> None:
    words = overrides({**LONG, "TIME_LIMIT": TOO_SHORT})
    assert main(["train", "--multirun", *words, "MODEL_SEED=1,2", "hydra.sweep.dir=sweep"]) == 0
    for job in ("0", "1"):
        paths = RunPaths(Path("sweep", job))
        assert paths.last.exists()
        assert not load_run(paths.root).finished


def test_a_run_from_python_whose_time_is_up_is_returned(tmp_path: Path) -> None:
    run = train_from_python({**LONG, "TIME_LIMIT": TOO_SHORT}, tmp_path / "run", progress=False)
    assert not run.finished
    assert run.paths.last.exists()


def test_a_stop_that_nobody_asked_for_is_never_seen(tmp_path: Path) -> None:
    train(small(TIME_LIMIT=10.0), tmp_path)
    assert load_run(tmp_path).finished


def test_a_function_is_given_each_epoch_and_may_end_the_training(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []

    def stop(row: Mapping[str, Any]) -> bool:
        seen.append(dict(row))
        return row["epoch"] == 2

    folders = [tmp_path / name for name in ("ended", "whole")]
    for number, folder in enumerate(folders):
        train_in(
            small(**KEYS | {"N_EPOCH": 3 if number else 14}),
            RunPaths(folder),
            progress=False,
            on_epoch=None if number else stop,
        )
    run = load_run(folders[0])
    assert [row["epoch"] for row in seen] == [0, 1, 2]
    for name in run.epochs:
        np.testing.assert_array_equal([row[name] for row in seen], run.epochs[name])
    assert run.ended_early == "stopped early after epoch 2, as on_epoch asked for it"
    assert run.finished
    assert_same_run(*folders)


@pytest.mark.parametrize("answer", [0.3, 1, "stop"])
def test_a_function_must_say_plainly_that_the_training_ends(answer: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"on_epoch returned .*: must be True"):
        train_in(small(), RunPaths(tmp_path), progress=False, on_epoch=lambda row: answer)


def test_what_a_function_raises_ends_the_run_with_a_checkpoint(tmp_path: Path) -> None:
    def fail(row: Mapping[str, Any]) -> None:
        if row["epoch"] == 1:
            raise ZeroDivisionError("of the user")

    train(small(), tmp_path / "whole")
    paths = RunPaths(tmp_path / "run")
    with pytest.raises(ZeroDivisionError, match="of the user"):
        train_in(small(), paths, progress=False, on_epoch=fail)
    assert len(load_run(paths.root).epochs["epoch"]) == 2
    assert read_end(paths, False).state == "failed"
    train(small(), paths.root, True)
    assert_same_run(paths.root, tmp_path / "whole")


def test_a_run_that_explodes_ends_and_its_record_says_so(tmp_path: Path) -> None:
    with pytest.raises(NumericalError, match="training has exploded"):
        train(small(ETA=1e9), tmp_path)
    run = load_run(tmp_path)
    assert run.warnings["what"].tolist() == ["exploded"]
    assert "since trial" in run.warnings["message"][0]
    assert not run.finished
    assert read_end(RunPaths(tmp_path), False).state == "exploded"


def test_a_time_limit_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(Interrupted) as stopped:
        train(from_dict({**LONG, "TIME_LIMIT": TOO_SHORT}), tmp_path)
    assert stopped.value.code == 124
    assert stopped.value.time_is_up
