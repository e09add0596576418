"""Sweeps that go on: what is left, what failed, more values; and what is shown meanwhile."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from runs import (
    OPTIMISED,
    SMALL,
    TIMEOUT_S,
    assert_same_run,
    command,
    end,
    here,
    overrides,
    snnrun,
    start,
    wait_for,
)

from snnrun.record import load_run
from snnrun.record.owner import read_owner
from snnrun.record.paths import RunPaths
from snnrun.sweeps.sweep import read_sweep

KEYS = {key: value for key, value in SMALL.items() if key != "MODEL_SEED"}
LAUNCHERS = {
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    "submitit": ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=30"],
}


def sweep_words(folder: Path, *words: str) -> list[str]:
    return ["train", "-m", *overrides(KEYS), *words, f"hydra.sweep.dir={folder}"]


def table(folder: Path) -> list[dict[str, str]]:
    """Return the table of a sweep with all digits, but for times and places."""
    rows = csv.DictReader(io.StringIO(here("sweep", "table", str(folder), "--csv").stdout))
    return [
        {name: value for name, value in row.items() if name not in ("folders", *TIMES)}
        for row in rows
    ]


TIMES = ("seconds_mean", "seconds_sd")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of two seeds and two rates, one of which is refused."""
    folder = tmp_path_factory.mktemp("sweep") / "rates"
    done = here(*sweep_words(folder, "ETA=1e-3,-1", "MODEL_SEED=1,2"))
    assert done.returncode == 2, done.stderr
    return folder


def copied(sweep: Path, to: Path) -> Path:
    return shutil.copytree(sweep, to / "copy")


def test_a_multirun_has_a_line_for_each_job_and_its_table_and_best_setting_in_the_end(
    tmp_path: Path,
) -> None:
    done = here(*sweep_words(tmp_path / "s", "ETA=1e-3,5e-3,-1", "MODEL_SEED=1,2"))
    assert done.returncode == 2
    lines = done.stdout.splitlines()
    assert re.fullmatch(
        r"1/6  job 0 ETA=0.001 MODEL_SEED=1  finished  valid \S+%  test \S+%  \S+s", lines[1]
    )
    assert lines[6] == "6/6  job 5 ETA=-1 MODEL_SEED=2     refused  ETA=-1: must be a number > 0."
    assert re.match(r" +ETA +runs +train% +valid%", lines[8])
    again = re.search(r"^best by validation: ETA=(\S+) .*\n  snnrun (.*)$", done.stdout, re.M)
    assert again
    assert f"ETA={again[1]} MODEL_SEED=1,2" in again[2]
    assert here(*shlex.split(again[2]), f"hydra.sweep.dir={tmp_path}/best").returncode == 0
    first = {"0.001": "0", "0.005": "2"}[again[1]]
    assert_same_run(tmp_path / "best" / "0", tmp_path / "s" / first)
    assert "snnrun 0.1.0" in RunPaths(tmp_path / "s" / "0").log.read_text()
    assert "error: ETA=-1" in RunPaths(tmp_path / "s" / "5").log.read_text()


@pytest.mark.long
def test_only_what_is_left_is_run_and_failed_ones_if_asked(swept: Path, tmp_path: Path) -> None:
    sweep = copied(swept, tmp_path)
    shutil.rmtree(sweep / "1")
    finished = RunPaths(sweep / "0").run.stat().st_mtime_ns
    done = here("sweep", "resume", str(sweep))
    assert done.returncode == 2  # as two are refused still
    assert "2/4  job 1 ETA=0.001 MODEL_SEED=2  finished" in done.stdout
    assert "job 0" not in done.stdout.split("\n\n")[0]
    assert RunPaths(sweep / "0").run.stat().st_mtime_ns == finished
    assert_same_run(sweep / "1", swept / "1")
    assert here("sweep", "resume", str(sweep)).stdout.startswith("nothing is left to run\n")
    again = here("sweep", "resume", str(sweep), "--failed")
    assert again.stdout.count("refused  ETA=-1") == 2
    assert "hydra/launcher=joblib; more values: snnrun sweep add" in (
        here("sweep", "resume", str(sweep), "ETA=3").stderr
    )


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = here(*sweep_words(tmp_path / "file" / "s", "MODEL_SEED=1,2"))
    assert done.returncode == 2
    assert f"{tmp_path}/file is a file, no folder. Choose another folder" in done.stderr


@pytest.mark.long
def test_values_are_added_with_those_that_the_other_keys_have(swept: Path, tmp_path: Path) -> None:
    sweep = copied(swept, tmp_path)
    done = here("sweep", "add", str(sweep), "MODEL_SEED=2,3")
    assert done.stdout.startswith("2 jobs more\n")
    jobs = read_sweep(sweep).jobs
    assert [(job.number, job.overrides) for job in jobs[4:]] == [
        (4, {"ETA": "0.001", "MODEL_SEED": "3"}),
        (5, {"ETA": "-1", "MODEL_SEED": "3"}),
    ]
    assert [job.state for job in jobs] == [
        "finished", "finished", "refused", "refused", "finished", "refused",
    ]  # fmt: skip
    done = here(*sweep_words(sweep, "ETA=1e-3,2e-3", "MODEL_SEED=1"))
    assert [job.overrides for job in read_sweep(sweep).jobs[6:]] == [
        {"ETA": "0.002", "MODEL_SEED": "1"}
    ]
    assert read_sweep(sweep).jobs[6].state == "finished", done.stdout + done.stderr
    assert "LOSS_TIPE" in here("sweep", "add", str(sweep), "LOSS_TIPE=max").stderr


@pytest.mark.long
def test_a_sweep_grows_by_a_key_that_all_its_jobs_had_and_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = tmp_path / "my" / "preset" / "mine.yaml"
    preset.parent.mkdir(parents=True)
    preset.write_text("# @package _global_\nNUM_HIDDEN: 9\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    own = ["--config-dir", "my", "preset=mine"]
    given = [word for word in sweep_words(Path("s"), *own) if not word.startswith("NUM_HIDDEN=")]
    assert here(*given, "ETA=1e-3,2e-3", "MODEL_SEED=1").returncode == 0
    monkeypatch.chdir("elsewhere")
    done = here("sweep", "add", "../s", "MODEL_SEED=1,2")
    assert done.stdout.startswith("2 jobs more\n"), done.stderr
    sweep = read_sweep(tmp_path / "s")
    given_of = [(job.settings["ETA"], job.settings["MODEL_SEED"]) for job in sweep.jobs]
    assert given_of == [("0.001", "1"), ("0.002", "1"), ("0.001", "2"), ("0.002", "2")]
    assert sweep.counts == {"finished": 4}
    for number, seed in ((0, 1), (2, 2)):  # whose key is in the command, and in the job
        assert load_run(sweep.jobs[number].folder).config["MODEL_SEED"] == seed
    shutil.move(tmp_path / "s" / "0", tmp_path / "before")
    assert here("sweep", "resume", str(tmp_path / "s")).returncode == 0
    assert_same_run(tmp_path / "s" / "0", tmp_path / "before")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert f"snnrun train --config-dir={tmp_path}/my -m" in here("sweep", "best", "../s").stdout
    preset.write_text("# @package _global_\nNUM_HIDDEN: 8\n")
    done = here("sweep", "add", "../s", "MODEL_SEED=3")
    assert done.returncode == 2
    assert "NUM_HIDDEN: 9 there, 8 now\nNothing was changed" in done.stderr
    assert len(read_sweep(tmp_path / "s").jobs) == 4


def test_another_configuration_is_refused_with_the_difference_and_nothing_is_run(
    swept: Path, tmp_path: Path
) -> None:
    sweep = copied(swept, tmp_path)
    done = here(*sweep_words(sweep, "ETA=1e-3,-1", "MODEL_SEED=1,2,3", "NUM_HIDDEN=31"))
    assert done.returncode == 2
    assert "holds a sweep already, with another configuration:" in done.stderr
    assert "  NUM_HIDDEN: 30 there, 31 now\n" in done.stderr
    assert len(read_sweep(sweep).jobs) == 4


@pytest.mark.long
def test_a_sweep_of_a_version_without_the_newest_keys_goes_on(swept: Path, tmp_path: Path) -> None:
    sweep = copied(swept, tmp_path)
    (request,) = (sweep / ".sweep").glob("*.json")
    asked = json.loads(request.read_text())
    del asked["config"]["TAGS"]
    request.write_text(json.dumps(asked))
    shutil.rmtree(sweep / "0")
    assert "job 0 ETA=0.001 MODEL_SEED=1  finished" in here("sweep", "resume", str(sweep)).stdout
    asked["config"]["ETA_DECAY"] = 0.5
    request.write_text(json.dumps(asked))
    shutil.rmtree(sweep / "0")
    assert "  ETA_DECAY: 0.5 there, " in here("sweep", "resume", str(sweep)).stderr


def test_the_best_setting_becomes_a_preset_that_gives_the_same_run(
    swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = here("sweep", "best", str(swept), "--preset", "mine")
    assert done.returncode == 0, done.stderr
    text = Path("conf/preset/mine.yaml").read_text()
    assert text.startswith("# @package _global_\n# snnrun train --config-dir conf preset=mine\n")
    assert "defaults:\n  - override /dataset: yinyang\n\n" in text
    assert "MODEL_SEED:" not in text
    assert "N_TRAIN: 130\n" in text
    line = re.search(r"^  snnrun (train --config-dir .*)$", done.stdout, re.M)
    assert line
    run = here(*shlex.split(line[1]), "MODEL_SEED=2", "hydra.run.dir=again")
    assert run.returncode == 0, run.stderr
    assert_same_run(Path("again"), swept / "1")
    again = here("sweep", "best", str(swept), "--preset", "mine")
    assert "is there already" in again.stderr
    assert "is where --preset NAME" in here("sweep", "best", str(swept), "--config-dir=c").stderr


def test_the_best_setting_is_tested(swept: Path, tmp_path: Path) -> None:
    sweep = copied(swept, tmp_path)
    done = here("sweep", "best", str(sweep), "--test", "N_TEST=60")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^test \S+ \+- \S+ % \(2 runs\)$", done.stdout, re.M)
    assert load_run(sweep / "1").tests[-1].n_examples == 60


def test_status_tells_who_runs_and_why_others_do_not(swept: Path, tmp_path: Path) -> None:
    sweep = copied(swept, tmp_path)
    (sweep / "1" / "run.end").write_text(json.dumps({"state": "stopped"}))
    run = RunPaths(sweep / "0").run
    shutil.rmtree(sweep / "1")
    said = here("sweep", "status", str(sweep)).stdout
    assert said.startswith(f"4 jobs: 1 finished, 1 waiting, 2 refused; in {sweep}\n")
    assert re.search(r"^job 2 ETA=-1 MODEL_SEED=1 +refused .* ETA=-1: must be", said, re.M)
    states = json.loads(here("sweep", "status", str(sweep), "--json").stdout)
    assert [job["state"] for job in states] == ["finished", "waiting", "refused", "refused"]
    assert run.exists()


@pytest.mark.long
def test_status_watches_until_all_have_ended(tmp_path: Path) -> None:
    sweep = tmp_path / "s"
    process = start(*sweep_words(sweep, "MODEL_SEED=1,2", "N_EPOCH=200"))
    wait_for((sweep / ".sweep").exists, process)
    watched = snnrun("sweep", "status", str(sweep), "--watch")
    assert end(process)[0] == 0
    assert watched.returncode == 0
    assert watched.stdout.endswith(f"2 jobs: 2 finished; in {sweep}\n")
    assert "job 1 MODEL_SEED=2  finished" in watched.stdout


@pytest.mark.long
def test_two_launchers_of_a_sweep_share_its_jobs_and_neither_fails(tmp_path: Path) -> None:
    words = sweep_words(tmp_path / "s", "ETA=1e-3,2e-3,3e-3", "MODEL_SEED=1,2", "N_EPOCH=100")
    first = start(*words)
    wait_for((tmp_path / "s" / "0").exists, first)
    second = start(*words)
    for code, said in (end(first), end(second)):
        assert code == 0, said
        told = re.findall(r"^./6  job (\d)", said, re.M)
        assert len(told) == len(set(told)), said
    assert read_sweep(tmp_path / "s").counts == {"finished": 6}


@pytest.mark.long
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_after_kills_of_workers_and_of_the_launcher_resume_gives_the_same_table(
    launcher: str, tmp_path: Path
) -> None:
    if not (find_spec("hydra_plugins") and find_spec(f"hydra_plugins.hydra_{launcher}_launcher")):
        pytest.skip("no plugin")
    keys = {**KEYS, **OPTIMISED, "N_TRAIN": 3000, "N_EPOCH": 40}
    words = [*overrides(keys), "ETA=1e-3,5e-3", "MODEL_SEED=1,2", "backend.threads=1"]
    whole, sweep = tmp_path / "whole", tmp_path / "killed"
    assert here("train", "-m", *words, f"hydra.sweep.dir={whole}").returncode == 0
    line = ["train", "-m", *words, *LAUNCHERS[launcher], f"hydra.sweep.dir={sweep}"]
    for target in ("worker", "launcher", "worker"):
        if sweep.exists() and read_sweep(sweep).counts == {"finished": 4}:
            break  # those of submitit ran on when it was killed
        with (tmp_path / "output").open("w") as output:  # workers outlive a launcher that is killed
            process = subprocess.Popen(
                command(*line), stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        wait_for(lambda: bool(at_work(sweep)), process)
        os.kill(at_work(sweep)[0] if target == "worker" else process.pid, signal.SIGKILL)
        assert process.wait(TIMEOUT_S) != 0
        wait_until_nothing_runs(sweep)
        line = ["sweep", "resume", str(sweep)]
    for _ in range(3):
        if all(job.state == "finished" for job in read_sweep(sweep).jobs):
            break
        snnrun(*line)
        wait_until_nothing_runs(sweep)
    assert table(sweep) == table(whole)
    for job in read_sweep(whole).jobs:
        assert_same_run(sweep / job.folder.name, job.folder)


def at_work(sweep: Path) -> list[int]:
    """Return the processes that train jobs of a sweep and have written a checkpoint."""
    jobs = read_sweep(sweep).of_state("running")
    paths = [RunPaths(job.folder) for job in jobs if RunPaths(job.folder).last.exists()]
    owners = [read_owner(path) for path in paths]
    return [owner.pid for owner in owners if owner is not None]


def wait_until_nothing_runs(sweep: Path) -> None:
    """Wait for jobs whose launcher is gone."""
    limit = time.monotonic() + TIMEOUT_S
    while read_sweep(sweep).of_state("running"):
        assert time.monotonic() < limit
        time.sleep(0.2)
