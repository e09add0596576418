"""How a run ended: `snnrun runs` and run.log say it, whatever ended it and however early."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from record_samples import sample_record
from runs import SMALL, here, overrides, small, snnrun, stopped_at

from snnrun.errors import BuildError, DataError, NumericalError
from snnrun.record import load_run
from snnrun.record.ending import End, noting_end, read_end
from snnrun.record.owner import claim
from snnrun.record.paths import RunPaths
from snnrun.run import train

TINY = {**SMALL, "N_EPOCH": 2}


def listed(root: Path) -> str:
    return here("runs", str(root)).stdout


def end_with(error: BaseException, paths: RunPaths, trains: bool) -> None:
    """Let an error end a run before or while it trains."""
    with suppress(type(error)), claim(paths), noting_end(paths) as ending:
        if trains:
            ending.training()
        raise error


@pytest.mark.parametrize(
    ("error", "trains", "state"),
    [
        (NumericalError("beyond use"), True, "exploded"),
        (NumericalError("beyond use"), False, "refused"),
        (DataError("no data"), True, "failed"),
        (BuildError("no compiler"), False, "refused"),
        (MemoryError("all of it"), True, "failed"),
        (SystemExit(143), True, "stopped"),
        (KeyboardInterrupt(), False, "stopped"),
    ],
)
def test_what_ends_a_run_is_noted(
    tmp_path: Path, error: BaseException, trains: bool, state: str
) -> None:
    paths = RunPaths(tmp_path)
    end_with(error, paths, trains)
    end = read_end(paths, finished=False)
    assert end.state == state
    if isinstance(error, Exception):
        assert str(error) in end.reason


def test_a_resume_that_is_refused_leaves_the_run_as_it_ended(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    sample_record(paths).write()
    end_with(KeyboardInterrupt(), paths, trains=True)
    end_with(DataError("the data are gone"), paths, trains=False)
    assert read_end(paths, finished=False) == End("stopped")


def test_an_end_that_nothing_tells_is_said_to_be_unknown(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    assert read_end(paths, finished=False).state == "killed"
    paths.end.write_text("{ half")
    assert read_end(paths, finished=False).state == "killed"
    assert read_end(paths, finished=True).state == "finished"


def test_an_exploded_run_is_listed_so_and_its_log_says_why(tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "run"
    words = overrides({**TINY, "ETA": "1e30"})
    done = snnrun("train", *words, f"hydra.run.dir={folder}")
    assert done.returncode == 2
    why = done.stderr.removeprefix("snnrun: error: ").strip()
    assert "training has exploded" in why
    run = load_run(folder)
    assert (run.state, run.reason) == ("exploded", why)
    assert f"error: {why}" in (folder / "run.log").read_text()
    text = listed(tmp_path)
    assert "exploded" in text
    assert "    training has exploded: " in text
    assert "error" not in done.stdout


def test_a_refused_run_is_listed_with_its_name_and_the_reason(tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "run"
    done = snnrun(
        "train",
        "dataset=shd",
        f"dataset.path={tmp_path}/nowhere",
        "NAME=mine",
        f"hydra.run.dir={folder}",
    )
    assert done.returncode == 2
    why = done.stderr.removeprefix("snnrun: error: ").strip()
    assert why in (folder / "run.log").read_text()
    _, row, reason = listed(tmp_path).splitlines()
    assert row.split()[:4] == ["outputs/run", "mine", "shd", "refused"]
    assert reason.split()[:4] == why.split()[:4]


def test_a_refused_job_of_a_multirun_is_listed_too(tmp_path: Path) -> None:
    sweep = tmp_path / "outputs" / "multirun"
    done = snnrun("train", "-m", "TAU_MEM=-1,-2", *overrides(TINY), f"hydra.sweep.dir={sweep}")
    assert done.returncode == 2
    assert listed(tmp_path).count("refused") == 2
    assert "TAU_MEM" in (sweep / "1" / "run.log").read_text()


def test_a_stopped_run_is_listed_as_stopped_until_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "outputs" / "run"
    assert stopped_at(4, small(N_EPOCH=2), folder, monkeypatch)
    assert load_run(folder).state == "stopped"
    assert "stopped" in listed(tmp_path)
    train(small(N_EPOCH=2), folder, resume=True)
    assert load_run(folder).state == "finished"
    assert not RunPaths(folder).end.exists()
