"""What is done to a run that has finished: `snnrun test` adds to it, `resume` leaves it alone."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from runs import SMALL, assert_same_run, comparable, here, overrides, small

from snnrun import SnnrunError, resume
from snnrun.record import load_run
from snnrun.run import test as evaluate
from snnrun.run import train


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a finished run of one epoch."""
    done = here("train", *overrides({**SMALL, "N_EPOCH": 1}), f"hydra.run.dir={tmp_path}/run")
    assert done.returncode == 0, done.stderr
    return tmp_path / "run"


def test_the_command_adds_a_result_and_shows_it_beside_the_others(folder: Path) -> None:
    before, numbers = load_run(folder), comparable(folder)
    done = here("test", str(folder), "LOAD_BEST=true", "N_TEST=80", "TEST_DATA_SEED=9")
    assert done.returncode == 0, done.stderr
    own, later = load_run(folder).tests
    assert (own.weights.kind, own.weights.epochs, own.final, own.n_examples) == (
        "last",
        1,
        True,
        50,
    )
    assert (later.weights.kind, later.final, later.n_examples, later.seed) == ("best", False, 80, 9)
    assert "LOAD_BEST=true" in str(later.origin["command"])
    assert load_run(folder).test == before.test == own.figures
    assert load_run(folder).config == before.config  # that of the training, not of the test
    assert comparable(folder).keys() == numbers.keys()
    table = done.stdout.partition("all tests")[2].splitlines()[:3]
    assert table[0].split() == [
        "weights",
        "epochs",
        "data",
        "examples",
        "seed",
        "accuracy",
        "loss",
        "when",
    ]
    assert table[1].split()[:5] == ["last", "1", "yinyang", "50", "456"]
    assert table[2].split()[:5] == ["best", "1", "yinyang", "80", "9"]


def test_a_test_with_other_records_leaves_those_of_the_run(tmp_path: Path) -> None:
    config = small(N_EPOCH=1, COLLECT_CONFUSION=True, REC_PREDICTIONS=True)
    train(config, tmp_path / "run")
    numbers = comparable(tmp_path / "run")
    evaluate(small(N_EPOCH=1, N_TEST=20), tmp_path / "run")
    assert comparable(tmp_path / "run").keys() == numbers.keys()
    run = load_run(tmp_path / "run")
    assert run.confusion("test").sum() + run.no_prediction("test").sum() == 50


def test_a_finished_run_is_not_resumed_but_says_how_to_train_it_for_longer(folder: Path) -> None:
    def contents() -> dict[Path, tuple[bytes, int]]:
        files = [path for path in folder.rglob("*") if path.is_file()]
        return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}

    before = contents()
    done = here("resume", str(folder), "REC_SPIKES=[hidden]")
    assert (done.returncode, done.stderr) == (0, "")
    first, told, command = done.stdout.split("\n", 2)
    assert first.startswith(f"snnrun resume {folder} ")
    assert told.startswith(f"{folder}: finished, all of its 1 epochs are done; nothing was changed")
    assert contents() == before
    words = command.split()
    assert words == ["snnrun", "resume", str(folder), "N_EPOCH=2"]
    assert resume(folder, progress=False).finished == load_run(folder).finished
    assert contents() == before
    assert here(*words[1:]).returncode == 0  # what it says works as it is
    run = load_run(folder)
    assert (len(run.epochs["epoch"]), run.state) == (2, "finished")
    assert [test.weights.epochs for test in run.tests] == [1, 2]


@pytest.mark.parametrize("by", ["command", "function"])
def test_what_a_resume_was_refused_for_does_not_stay_with_the_run(folder: Path, by: str) -> None:
    longer = here("resume", str(folder), "N_EPOCH=2")
    assert longer.returncode == 0, longer.stderr
    if by == "command":
        refused = here("resume", str(folder), "N_EPOCH=1", "ETA=0.5")
        assert (refused.returncode, "begun 2 epochs already" in refused.stderr) == (2, True)
    else:
        with pytest.raises(SnnrunError, match="begun 2 epochs already"):
            resume(folder, {"N_EPOCH": 1, "ETA": 0.5}, progress=False)
    again = here("resume", str(folder))
    assert (again.returncode, "all of its 2 epochs are done" in again.stdout) == (0, True)
    further = here("resume", str(folder), "N_EPOCH=3")
    assert further.returncode == 0, further.stderr
    assert load_run(folder).sessions[-1]["n_epochs"] == 3
    assert "ETA: 0.5" not in str(load_run(folder).sessions[-1]["config"])


def test_a_run_is_run_again_to_the_same_bits_from_its_own_configuration(
    folder: Path, tmp_path: Path
) -> None:
    words = ["--config-path", f"{folder}/.hydra", f"hydra.run.dir={tmp_path}/again"]
    done = here("train", *words)
    assert done.returncode == 0, done.stderr
    assert_same_run(folder, tmp_path / "again")
    assert load_run(folder).config == load_run(tmp_path / "again").config


def test_keys_that_change_nothing_of_a_finished_run_are_warned_of(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.warns(UserWarning, match="all of its 1 epochs are done; nothing was changed"):
        resume(folder, {"ETA": 0.5}, progress=False)
    assert capsys.readouterr().out == ""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resume(folder, {"N_EPOCH": 1}, progress=False)
        resume(folder, {"ETA": 0.5})
    assert "nothing was changed" in capsys.readouterr().out
