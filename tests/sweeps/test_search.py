"""Searches with Optuna: their trials are trained, ended early, and gone on with after a kill."""

from __future__ import annotations

import csv
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from runs import (
    SMALL,
    assert_same_run,
    end,
    here,
    overrides,
    snnrun,
    start,
    wait_for,
    wait_for_epochs,
)

from snnrun.record import load_run
from snnrun.record.ending import read_end
from snnrun.record.owner import read_owner
from snnrun.record.paths import RunPaths
from snnrun.sweeps.sweep import read_sweep

pytest.importorskip("optuna", reason="no search is tested: Optuna is not installed", minversion="5")

from snnrun.search.report import Report, read_search

KEYS = overrides({key: value for key, value in SMALL.items() if key != "MODEL_SEED"})
LOG_ETA = "ETA=tag(log,interval(1e-4,1e-1))"
TAU = "TAU_MEM=interval(15,40)"
PRUNED = ["sweep.pruner=median", "sweep.min_epochs=1", "sweep.startup_trials=2"]


def search(folder: Path, *words: str) -> list[str]:
    return ["train", *KEYS, "sweep=optuna", *words, f"hydra.sweep.dir={folder}"]


def told(report: Report) -> list[tuple[Any, ...]]:
    """Return what must be the same after a kill."""
    return [(t.number, t.state, t.parameters, t.values, t.reason, t.epochs) for t in report.trials]


def test_the_command_line_refuses_what_only_a_search_takes(tmp_path: Path) -> None:
    for words, says in (
        ([LOG_ETA], "only a search draws from an interval; add sweep=optuna"),
        (["-m", "ETA=1e-3,2e-3", "sweep.n_trials=3"], "sweep.n_trials=3: is of a search"),
        (["sweep=optuna", LOG_ETA, "hydra/launcher=slurm"], "takes no hydra/launcher"),
        (["sweep=optuna", LOG_ETA, "hydra.sweeper.max_batch_size=2"], "sweep.n_jobs is how many"),
        (["sweep=optuna", LOG_ETA, "sweep.pruner=median"], "less than the 3 epochs of a trial"),
    ):
        done = here("train", *KEYS, *words, f"hydra.sweep.dir={tmp_path}/s")
        assert (done.returncode, says in done.stderr) == (2, True), done.stderr
        assert not (tmp_path / "s").exists()
    assert "is for snnrun train" in here("compile", *KEYS, "sweep=optuna", LOG_ETA).stderr


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of which trials were ended early, in one go."""
    folder = tmp_path_factory.mktemp("search") / "etas"
    words = [LOG_ETA, "TAU_MEM=interval(12,25)", *PRUNED, "sweep.n_trials=7", "sweep.seeds=2"]
    done = here(*search(folder, *words))
    assert done.returncode == 0, done.stderr
    assert re.search(r"best: trial \d.*\n  snnrun train -m .* MODEL_SEED=1,2\n", done.stdout)
    return folder


@pytest.mark.long
def test_a_search_finds_and_prunes(pruned: Path) -> None:
    report = read_search(pruned)
    assert [trial.number for trial in report.trials] == list(range(7))
    ended = [trial for trial in report.trials if trial.state == "pruned"]
    done = [trial for trial in report.trials if trial.state == "finished"]
    assert ended
    assert len(done) + len(ended) == 7
    for trial in done:
        runs = [load_run(pruned / str(2 * trial.number + k)) for k in (0, 1)]
        scores = [run.epochs["validation_accuracy"].max() for run in runs]
        assert trial.values == (pytest.approx(sum(scores) / 2, abs=0),)
        assert [run.config["MODEL_SEED"] for run in runs] == [1, 2]
    for trial in ended:
        last = [k for k in (0, 1) if (pruned / str(2 * trial.number + k)).exists()][-1]
        paths = RunPaths(pruned / str(2 * trial.number + last))
        assert read_end(paths, finished=False).state == "pruned"
        assert paths.last.exists()
    assert report.best[0].values[0] == max(trial.values[0] for trial in done)
    assert "pruned" in here("runs", str(pruned)).stdout
    assert read_sweep(pruned).counts["pruned"] == len(ended)


def test_a_changed_search_is_refused_with_what_differs(pruned: Path) -> None:
    words = ["ETA=tag(log,interval(1e-4,1e-2))", "TAU_MEM=interval(12,25)", *PRUNED]
    done = here(*search(pruned, *words, "MODEL_SEED=5", "sweep.sampler=random"))
    assert done.returncode == 2
    for line in (
        "MODEL_SEED: null there, 5 now",
        "sweep.sampler: tpe there, random now",
        "sweep.seeds: 2 there, 1 now",
        "ETA: 0.0001 to 0.1 (log) there, 0.0001 to 0.01 (log) now",
    ):
        assert line in done.stderr
    assert "TAU_MEM" not in done.stderr


def test_a_pruned_run_is_trained_to_its_end_by_resume(pruned: Path) -> None:
    folder = next(job.folder for job in read_sweep(pruned).jobs if job.state == "pruned")
    assert here("resume", str(folder)).returncode == 0
    assert load_run(folder).state == "finished"


def test_a_search_is_told_in_tables_and_a_picture(pruned: Path, tmp_path: Path) -> None:
    report = read_search(pruned)
    shown = here("sweep", "history", str(pruned)).stdout
    (marked,) = (line for line in shown.splitlines() if " * " in line)
    assert int(marked.split()[0]) == report.best[0].number
    assert "pruning saved" in shown
    rows = list(csv.DictReader(here("sweep", "history", str(pruned), "--csv").stdout.splitlines()))
    assert [row["state"] for row in rows] == [trial.state for trial in report.trials]
    assert float(rows[0]["ETA"]) == report.trials[0].parameters["ETA"]
    shares = here("sweep", "importance", str(pruned)).stdout
    assert ("ETA " in shares) == (sum(bool(trial.values) for trial in report.trials) >= 4)
    refused = here("sweep", "add", str(pruned), "ETA=1")
    assert (refused.returncode, "a search chooses its trials itself" in refused.stderr) == (2, True)
    pytest.importorskip("matplotlib", reason="no picture of a search: no matplotlib")
    assert here("plot", str(pruned), "--output", f"{tmp_path}/s.png").returncode == 0
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.long
def test_a_search_that_is_killed_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    words = [LOG_ETA, "TAU_MEM=15,20,30", *PRUNED, "sweep.n_trials=4", "sweep.seeds=2"]
    words += ["N_TRAIN=1500", "N_EPOCH=6"]
    assert snnrun(*search(tmp_path / "whole", *words)).returncode == 0
    again = search(tmp_path / "killed", *words)
    for job in (0, 3, 4):
        process = start(*again)
        folder = tmp_path / "killed" / str(job)
        try:
            wait_for_epochs(folder, 2, process)
        except AssertionError:  # pruned, or done, before
            assert process.poll() == 0
        process.kill()
        process.communicate()
    assert snnrun(*again).returncode == 0
    whole, killed = (read_search(tmp_path / name) for name in ("whole", "killed"))
    assert told(whole) == told(killed)
    for job in read_sweep(tmp_path / "whole").jobs:
        if job.state != "waiting":
            assert_same_run(job.folder, tmp_path / "killed" / str(job.number))
    more = snnrun("sweep", "resume", str(tmp_path / "killed"), "sweep.n_trials=5")
    assert more.returncode == 0, more.stderr
    assert len(read_search(tmp_path / "killed").trials) == 5


@pytest.mark.long
def test_two_commands_in_one_folder_search_together(tmp_path: Path) -> None:
    line = search(tmp_path / "s", LOG_ETA, TAU, "sweep.n_trials=9", "N_TRAIN=3000", "N_EPOCH=5")
    both = [start(*line), start(*line, "sweep.n_jobs=2")]
    for code, said in map(end, both):
        assert code == 0, said
    report = read_search(tmp_path / "s")
    assert [trial.state for trial in report.trials] == ["finished"] * 9
    assert len({str(trial.parameters) for trial in report.trials}) == 9


@pytest.mark.long
def test_processes_of_a_search_stop_together_and_none_outlives_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    line = search(folder, LOG_ETA, TAU, "sweep.n_trials=6", "sweep.n_jobs=2")
    line += ["N_TRAIN=3000", "N_EPOCH=400"]
    for number in (signal.SIGTERM, signal.SIGKILL):
        process = start(*line)
        for job in (0, 1):
            wait_for(lambda job=job: RunPaths(folder / str(job)).pid.exists(), process)
            wait_for_epochs(folder / str(job), 2, process)
        process.send_signal(number)
        code, said = end(process)
        assert code == (143 if number == signal.SIGTERM else -9), said
        limit = time.monotonic() + 60
        while any(RunPaths(folder / str(job)).pid.exists() for job in (0, 1)):
            assert time.monotonic() < limit
            time.sleep(0.1)
        assert all(RunPaths(folder / str(job)).last.exists() for job in (0, 1))


@pytest.mark.long
def test_a_process_that_is_killed_leaves_its_trial_to_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    line = search(folder, LOG_ETA, TAU, "sweep.n_trials=3", "sweep.n_jobs=2", "N_TRAIN=3000")
    process = start(*line, "N_EPOCH=8")
    wait_for_epochs(folder / "0", 2, process)
    owner = read_owner(RunPaths(folder / "0"))
    assert owner
    assert owner.pid != process.pid
    os.kill(owner.pid, signal.SIGKILL)
    code, said = end(process)
    assert code == 0, said
    assert "ended with code -9; the others took over its trial" in said
    assert [trial.state for trial in read_search(folder).trials] == ["finished"] * 3
    job = read_sweep(folder).jobs[0]
    alone = tmp_path / "alone"
    assert snnrun("train", *job.base, *job.words, f"hydra.run.dir={alone}").returncode == 0
    assert_same_run(folder / "0", alone)


@pytest.mark.long
def test_several_objectives_give_the_trials_that_none_beats(tmp_path: Path) -> None:
    objective = "sweep.objective=[validation_accuracy,hidden_spikes]"
    done = here(*search(tmp_path / "s", LOG_ETA, TAU, objective, "sweep.n_trials=6"))
    assert done.returncode == 0, done.stderr
    report = read_search(tmp_path / "s")
    accuracy, spikes = report.objectives
    for one in report.best:
        for other in report.trials:
            assert not (
                accuracy.better(other.values[0], one.values[0])
                and spikes.better(other.values[1], one.values[1])
            )
    assert "trials that none beats in everything" in done.stdout
    run = load_run(tmp_path / "s" / "0")
    best = int(run.epochs["validation_accuracy"].argmax())
    assert report.trials[0].values[1] == pytest.approx(
        run.epochs["spikes_per_neuron/hidden"][best] * SMALL["NUM_HIDDEN"]
    )
