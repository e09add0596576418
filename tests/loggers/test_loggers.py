"""Loggers: each epoch once whatever happens, and none of them changes or ends a run."""

from __future__ import annotations

import csv
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from long import long_but
from runs import (
    LONG,
    SMALL,
    composed,
    end,
    here,
    overrides,
    small,
    snnrun,
    start,
    stopped_at,
    wait_for_epochs,
)

from snnrun import load_run
from snnrun.commands.typed import as_typed
from snnrun.config import validate
from snnrun.loggers import LoggedRun, Logger, Row, logs
from snnrun.record.paths import RunPaths
from snnrun.record.reader import Run
from snnrun.run import train

ME = "test_loggers"


class Told(Logger):
    """Notes everything that it is told."""

    calls: list[tuple] = []  # noqa: RUF012

    def begin(self, run: LoggedRun) -> int:
        self.calls.append(("begin", run))
        return super().begin(run)

    def log(self, rows: Sequence[Row]) -> None:
        self.calls.append(("log", [row["epoch"] for row in rows], rows[-1]))

    def finish(self, test: dict, pictures: Sequence[Path]) -> None:
        self.calls.append(("finish", test, [file.name for file in pictures]))

    def close(self, state: str) -> None:
        self.calls.append(("close", state))

    def remember(self) -> dict:
        return {"id": 7}


class Fails(Logger):
    """Fails in the method that ``at`` names."""

    at = ""

    def begin(self, run: LoggedRun) -> int:
        first = super().begin(run)
        return first if self.at != "begin" else None  # type: ignore[return-value]

    def log(self, rows: Sequence[Row]) -> None:
        if self.at == "log":
            raise OSError("the server is gone")

    def finish(self, test: dict, pictures: Sequence[Path]) -> None:
        if self.at == "finish":
            raise ValueError("too large")


@pytest.fixture(autouse=True)
def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Told, "calls", [])


def metrics(folder: Path) -> list[dict[str, str]]:
    with RunPaths(folder).metrics.open(newline="") as file:
        return list(csv.DictReader(file))


def assert_metrics_are_those_of(run: Run) -> None:
    """Compare ``metrics.csv`` with the record, digit for digit."""
    rows = metrics(run.paths.root)
    for name, column in run.epochs.items():
        written = [float(row[name]) if row[name] else np.nan for row in rows]
        np.testing.assert_array_equal(written, column)


def told(what: str) -> list[tuple]:
    return [call for call in Told.calls if call[0] == what]


def test_each_logger_gets_every_epoch_once_the_configuration_and_the_test(tmp_path: Path) -> None:
    config = small(logger=["csv", f"{ME}.Told"], TAGS=["paper"], NAME="mine")
    train(config, tmp_path / "run")
    run = load_run(tmp_path / "run")
    assert_metrics_are_those_of(run)
    assert [name for name, *_ in Told.calls if name != "log"] == ["begin", "finish", "close"]
    (_, about), *_ = told("begin")
    assert (about.name, about.tags, about.group) == ("mine run", ("paper",), "")
    assert (about.config["ETA"], about.config["dataset.name"]) == (run.config["ETA"], "yinyang")
    assert [epoch for _, epochs, _ in told("log") for epoch in epochs] == [0, 1, 2]
    assert told("log")[-1][2]["train_loss"] == run.epochs["train_loss"][-1]
    ((_, test, _),) = told("finish")
    assert test["test_accuracy"] == run.test["accuracy"]
    last = metrics(tmp_path / "run")[-1]
    assert float(last["test_accuracy"]) == run.test["accuracy"]
    assert told("close") == [("close", "finished")]


def test_a_logger_that_fails_is_given_up_with_one_warning_and_changes_no_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(logs, "SHARE", 1e9)  # after every epoch
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    monkeypatch.delitem(sys.modules, "snnrun.loggers.tensorboard", raising=False)
    train(small(logger=None), tmp_path / "none")
    assert not RunPaths(tmp_path / "none").metrics.exists()
    for at, why in (
        ("begin", "TypeError: begin returned None, not the first epoch for log"),
        ("log", "OSError: the server is gone"),
        ("finish", "ValueError: too large"),
    ):
        monkeypatch.setattr(Fails, "at", at)
        folder = tmp_path / at
        train(small(logger=["tensorboard", f"{ME}.Fails", "csv"]), folder)
        assert_same_figures(folder, tmp_path / "none")
        run, said = load_run(folder), capsys.readouterr().out
        assert list(run.warnings["where"]) == ["tensorboard", f"{ME}.Fails"]
        for message, part in zip(
            run.warnings["message"], ("pip install '.[tensorboard]'", why), strict=True
        ):
            assert part in message
            assert said.count(" ".join(message.split()[:3])) == 1
        assert_metrics_are_those_of(run)


def assert_same_figures(folder: Path, other: Path) -> None:
    one, two = load_run(folder), load_run(other)
    for name in one.epochs.keys() - {"seconds", "examples_per_second", "peak_memory"}:
        np.testing.assert_array_equal(one.epochs[name], two.epochs[name])


def test_loggers_that_are_not_there_are_refused_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for value, problem in (
        (
            "csv,tensorbord",
            "logger=[csv, tensorbord]: must be some of csv, tensorboard, mlflow, wandb or the "
            "dotted path of your own, or null: nothing. Did you mean 'tensorboard'?",
        ),
        (
            "mylab.loggers.Mine",
            "logger=mylab.loggers.Mine: there is no module 'mylab.loggers'. Modules are looked for "
            "in the current folder and in the installed packages",
        ),
        (f"{ME}.metrics", f"logger={ME}.metrics: must be a subclass of snnrun.loggers.Logger"),
    ):
        done = here("train", f"logger={value}", *overrides(SMALL), "hydra.run.dir=run")
        assert (done.returncode, problem in done.stderr) == (2, True), done.stderr
        assert not RunPaths(tmp_path / "run").run.exists()


SPELLED = {
    "csv,tensorboard": ("csv", "tensorboard"),
    "[csv,mlflow]": ("csv", "mlflow"),
    "csv,csv": ("csv",),
    "null": None,
    "none": None,
    "[]": (),
    "a.b.C": ("a.b.C",),
}


@pytest.mark.parametrize("given", long_but(SPELLED, ["csv,tensorboard", "none"]))
def test_several_loggers_need_no_brackets(given: str) -> None:
    word = as_typed(f"logger={given}", sweeps=True)
    assert as_typed(f"logger={given}") == word
    assert validate(composed(word)).logger == SPELLED[given]


@pytest.fixture
def found_by_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes that a test starts import the loggers of this file."""
    here, tests = Path(__file__).parent, Path(__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", f"{here}{os.pathsep}{tests}")


@pytest.mark.long
@pytest.mark.usefixtures("found_by_processes")
def test_after_a_kill_and_a_resume_each_epoch_stands_in_the_table_once(tmp_path: Path) -> None:
    words = overrides({**LONG, "N_EPOCH": 30, "logger": f"[csv,{ME}.Told]"})
    for seconds in range(3):
        folder = tmp_path / str(seconds)
        process = start("train", *words, f"hydra.run.dir={folder}")
        wait_for_epochs(folder, 3 + 5 * seconds, process)
        process.kill()
        process.wait()
        if RunPaths(folder).metrics.exists():
            half = metrics(folder)
            assert [int(row["epoch"]) for row in half] == list(range(len(half)))
            assert {None} not in [set(row.values()) for row in half]
        assert snnrun("resume", str(folder)).returncode == 0
        run = load_run(folder)
        assert len(run.epochs["epoch"]) == 30
        assert_metrics_are_those_of(run)
        noted = json.loads(RunPaths(folder).loggers.read_text())
        assert noted == {f"{ME}.Told": {"epochs": 30, "remembered": {"id": 7}}}


@pytest.mark.long
def test_a_run_that_goes_on_gives_the_epochs_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small(logger=[f"{ME}.Told"], N_EPOCH=4)
    train(small(logger=None), tmp_path / "whole")
    assert stopped_at(5, config, tmp_path / "run", monkeypatch)
    assert told("close") == [("close", "stopped")]
    before = [epoch for _, epochs, _ in told("log") for epoch in epochs]
    Told.calls.clear()
    train(config, tmp_path / "run", resume=True)
    ((_, about),) = told("begin")
    assert (about.logged, about.remembered) == (len(before), {"id": 7})
    after = [epoch for _, epochs, _ in told("log") for epoch in epochs]
    assert before + after == [0, 1, 2, 3]
    Told.calls.clear()  # a logger that is new to the run gets all of it
    config = small(logger=["csv", f"{ME}.Told"], N_EPOCH=5)
    RunPaths(tmp_path / "run").loggers.unlink()
    train(config, tmp_path / "run", resume=True)
    assert [epoch for _, epochs, _ in told("log") for epoch in epochs] == [0, 1, 2, 3, 4]
    assert_metrics_are_those_of(load_run(tmp_path / "run"))


@pytest.mark.long
@pytest.mark.usefixtures("found_by_processes")
def test_jobs_of_a_sweep_are_logged_as_its_group(tmp_path: Path) -> None:
    words = overrides({**SMALL, "logger": f"csv,{ME}.Told", "MODEL_SEED": "1,2"})
    done = snnrun("train", "-m", *words, f"hydra.sweep.dir={tmp_path / 'sweep'}")
    assert done.returncode == 0, done.stderr
    for job in "01":
        assert_metrics_are_those_of(load_run(tmp_path / "sweep" / job))
    assert logs._group(RunPaths(tmp_path / "sweep" / "1")) == f"{tmp_path.name}/sweep"


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_has_all_epochs_that_ended(tmp_path: Path, number: int) -> None:
    process = start("train", *overrides(LONG), f"hydra.run.dir={tmp_path}")
    wait_for_epochs(tmp_path, 3, process)
    process.send_signal(number)
    assert end(process)[0] == 128 + number
    assert_metrics_are_those_of(load_run(tmp_path))


@pytest.mark.long
def test_the_logger_of_the_documentation_works_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "docs" / "loggers.md").read_text(encoding="utf-8")
    code = text.partition("```python\n")[2].partition("```")[0]
    Path("mylab").mkdir()
    Path("mylab/loggers.py").write_text(code)
    words = overrides({**SMALL, "logger": "csv,mylab.loggers.Mine"})
    done = snnrun("train", *words, "hydra.run.dir=run")
    assert (done.returncode, "warning" in done.stdout) == (0, False), done.stdout + done.stderr
    epochs = [line.split()[0] for line in Path("run/mine.txt").read_text().splitlines()]
    assert epochs[:3] == ["0", "1", "2"]
    assert float(epochs[3]) == load_run("run").test["accuracy"]
