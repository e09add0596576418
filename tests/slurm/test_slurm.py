"""Multiruns as jobs of a real Slurm: arrays, time limits, preemption, bad nodes, cancelled jobs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from one_machine import BAD, Slurm
from runs import (
    OPTIMISED,
    SMALL,
    assert_same_run,
    end,
    epochs_done,
    here,
    overrides,
    own_cache,
    snnrun,
    start,
)

from snnrun.record import load_run
from snnrun.record.owner import read_owner
from snnrun.record.paths import RunPaths
from snnrun.slurm.submit import FOLDER
from snnrun.training import checkpoint

pytestmark = pytest.mark.long
TIMEOUT_S = 120.0
SLURM = ["train", "-m", "hydra/launcher=slurm"]
SHORT: dict[str, Any] = {key: value for key, value in SMALL.items() if key != "MODEL_SEED"}
LONG: dict[str, Any] = {**SHORT, **OPTIMISED, "N_TRAIN": 3000, "N_EPOCH": 80}  # some 10 seconds


def words(keys: dict[str, Any], sweep: Path, *more: str) -> list[str]:
    return [*SLURM, *overrides(keys), f"hydra.sweep.dir={sweep}", *more]


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < limit, "it has not happened"
        time.sleep(0.2)


def job_of(folder: Path) -> str:
    """Return the number of the job that works on a run."""
    owner = read_owner(RunPaths(folder))
    return owner.job if owner else ""


def log(sweep: Path) -> str:
    """Return all that the scripts and the runs have said."""
    paths = [*sorted((sweep / FOLDER).glob("*.log")), *sorted(sweep.glob("*/run.log"))]
    return "".join(path.read_text() for path in paths)


def preempt(slurm: Slurm, folder: Path) -> None:
    """Let another job take the node on which a run is at work."""
    owner = read_owner(RunPaths(folder))
    assert owner
    urgent = ["--partition=urgent", f"--nodelist={owner.host}", "--exclusive", "--time=1"]
    slurm.ask("sbatch", *urgent, "--output=/dev/null", "--wrap=sleep 1")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A long run by itself."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    line = ["train", *overrides(LONG), "MODEL_SEED=1", f"hydra.run.dir={folder}"]
    assert here(*line).returncode == 0
    return folder


def test_an_array_keeps_to_its_limit_of_jobs_at_the_same_time(slurm: Slurm, tmp_path: Path) -> None:
    sweep = tmp_path / "a sweep"
    keys = {**SHORT, "N_EPOCH": 30}
    process = start(
        *words(keys, sweep, "MODEL_SEED=1,2,3,4,5,6", "hydra.launcher.array_parallelism=2")
    )
    most = 0
    while process.poll() is None:
        most = max(most, len(slurm.ask("squeue", "-h", "-t", "RUNNING").splitlines()))
        time.sleep(0.2)
    code, said = end(process)
    assert code == 0, said + log(sweep)
    assert "submitted to Slurm: 6 runs as job" in said
    assert most == 2
    assert all(load_run(sweep / str(number)).finished for number in range(6))
    alone = tmp_path / "alone"
    assert here("train", *overrides(keys), "MODEL_SEED=4", f"hydra.run.dir={alone}").returncode == 0
    assert_same_run(sweep / "3", alone)


def test_small_runs_share_a_job_each_with_its_own_cores_and_one_of_them_builds_the_program(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNNRUN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    own_cache(tmp_path / "cache" / "build")
    sweep = tmp_path / "sweep"
    more = ["MODEL_SEED=1,2,3,4,5", "hydra.launcher.runs_per_job=4"]
    done = snnrun(*words(SHORT, sweep, *more))
    assert done.returncode == 0, done.stderr + log(sweep)
    logs = [RunPaths(sweep / str(number)).log.read_text() for number in range(5)]
    assert sum("program ready: built" in text for text in logs) == 1
    assert sum("program ready: from the build cache" in text for text in logs) == 4
    runs = [load_run(sweep / str(number)) for number in range(5)]
    assert all(run.finished and run.provenance["cores_usable"] == 1 for run in runs)
    names = {path.name for path in (sweep / FOLDER).glob("*_*_*.log")}
    assert len({name.rsplit("_", 1)[0] for name in names}) == 2  # jobs


def test_each_of_the_runs_that_share_a_job_sees_its_own_gpu(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(
        "import os, sys\nfrom snnrun.models.neurons import LIF as lif\n"
        "print('GPU', os.environ['CUDA_VISIBLE_DEVICES'], file=sys.stderr)\n"
    )
    monkeypatch.chdir(tmp_path)
    sweep = tmp_path / "sweep"
    own = ["HIDDEN_NEURON_TYPE=mine.lif", "MODEL_SEED=1,2"]
    more = ["hydra.launcher.gpus_per_task=1", "hydra.launcher.runs_per_job=2"]
    done = snnrun(*words(SHORT, sweep, *own, *more))
    assert done.returncode == 0, done.stderr + log(sweep)
    assert sorted(re.findall(r"^GPU .*$", log(sweep), re.MULTILINE)) == ["GPU 0", "GPU 1"]


def test_a_job_whose_time_is_up_is_put_back_into_the_queue_and_goes_on_with_the_same_bits(
    slurm: Slurm, tmp_path: Path
) -> None:
    keys = {**LONG, "N_EPOCH": 5000}  # Slurm looks at time limits twice a minute
    sweep, alone = tmp_path / "sweep", tmp_path / "alone"
    limit = ["hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=60"]
    left = snnrun(*words(keys, sweep, "MODEL_SEED=1", "hydra.launcher.detach=true", *limit))
    assert left.returncode == 0, left.stderr
    process = start("train", *overrides(keys), "MODEL_SEED=1", f"hydra.run.dir={alone}")
    until(lambda: "stopped: by SIGUSR2" in log(sweep))
    until(lambda: bool(re.search("resumed +from epoch", log(sweep))))
    reached = epochs_done(sweep / "0")
    until(lambda: min(epochs_done(sweep / "0"), epochs_done(alone)) > reached + 3)
    slurm.ask("scancel", *(sweep / FOLDER / "ids").read_text().split())
    process.terminate()
    end(process)
    until(lambda: load_run(sweep / "0").state == "stopped")
    one, two = load_run(sweep / "0").epochs, load_run(alone).epochs
    common = min(len(one["epoch"]), len(two["epoch"]))
    assert common > reached
    for name in one.keys() - {"seconds", "examples_per_second", "peak_memory"}:
        assert one[name][:common].tobytes() == two[name][:common].tobytes()


def test_a_job_that_is_preempted_goes_on_later_with_the_same_bits(
    slurm: Slurm, tmp_path: Path, undisturbed: Path
) -> None:
    sweep = tmp_path / "sweep"
    process = start(*words(LONG, sweep, "MODEL_SEED=1", "hydra.launcher.cpus_per_task=4"))
    until(lambda: epochs_done(sweep / "0") >= 2)
    preempt(slurm, sweep / "0")
    code, said = end(process)
    assert code == 0, said + log(sweep)
    assert "stopped: by SIGTERM" in log(sweep)
    assert_same_run(sweep / "0", undisturbed)


def test_a_job_of_submitits_launcher_that_is_preempted_goes_on_too(
    slurm: Slurm, tmp_path: Path, undisturbed: Path
) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    sweep = tmp_path / "sweep"
    launcher = ["hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=4"]
    where = [f"hydra.sweep.dir={sweep}", "MODEL_SEED=1"]
    process = start("train", "-m", *overrides(LONG), *where, *launcher)
    until(lambda: epochs_done(sweep / "0") >= 2)
    preempt(slurm, sweep / "0")
    code, said = end(process)
    assert code == 0, said
    assert len(load_run(sweep / "0").sessions) == 2
    assert_same_run(sweep / "0", undisturbed)


def test_scontrol_requeue_costs_nothing(slurm: Slurm, tmp_path: Path, undisturbed: Path) -> None:
    sweep = tmp_path / "sweep"
    process = start(*words(LONG, sweep, "MODEL_SEED=1"))
    until(lambda: epochs_done(sweep / "0") >= 2)
    slurm.ask("scontrol", "requeue", job_of(sweep / "0"))
    code, said = end(process)
    assert code == 0, said + log(sweep)
    assert "resumed" in log(sweep)
    assert_same_run(sweep / "0", undisturbed)


def test_a_job_that_is_cancelled_writes_its_checkpoint_and_the_same_command_goes_on(
    slurm: Slurm, tmp_path: Path, undisturbed: Path
) -> None:
    sweep = tmp_path / "sweep"
    line = words(LONG, sweep, "MODEL_SEED=1,2")
    process = start(*line)
    until(lambda: all(epochs_done(sweep / name) >= 2 for name in "01"))
    slurm.ask("scancel", job_of(sweep / "0"))
    code, said = end(process)
    assert code == 0, said + log(sweep)
    assert load_run(sweep / "0").state == "stopped"
    assert checkpoint.load(RunPaths(sweep / "0").last)["epoch"] >= 2
    assert load_run(sweep / "1").finished
    done = snnrun(*line)
    assert done.returncode == 0, done.stderr
    assert_same_run(sweep / "0", undisturbed)


def test_who_leaves_is_told_how_to_look_and_a_second_start_is_refused_until_the_jobs_have_ended(
    slurm: Slurm, tmp_path: Path
) -> None:
    sweep = tmp_path / "sweep"
    how = ["hydra.launcher.detach=true", "hydra.launcher.array_parallelism=1"]
    line = words({**LONG, "N_EPOCH": 1000}, sweep, "MODEL_SEED=1,2", *how)
    left = snnrun(*line)
    assert left.returncode == 0, left.stderr
    assert f"snnrun sweep status {sweep}" in left.stdout
    assert "multirun stopped" not in left.stdout
    until(lambda: bool(job_of(sweep / "0")))
    status = snnrun("sweep", "status", str(sweep))
    assert "2 jobs: 1 running, 1 waiting" in status.stdout
    assert re.search(rf"MODEL_SEED=1 +running .* \(job {job_of(sweep / '0')}\)", status.stdout)
    again = snnrun(*line)
    assert again.returncode == 2
    assert "in Slurm's queue already" in again.stderr
    cancel = re.search(r"^ *(scancel \d+)$", left.stdout, re.MULTILINE)
    assert cancel, left.stdout
    slurm.ask(*cancel[1].split())
    until(lambda: load_run(sweep / "0").state == "stopped")
    assert not (sweep / "1").exists()


def test_who_stops_waiting_leaves_the_jobs_at_work(slurm: Slurm, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    process = start(*words(LONG, sweep, "MODEL_SEED=1"))
    until(lambda: epochs_done(sweep / "0") >= 1)
    process.terminate()
    code, said = end(process)
    assert code == 143
    assert "The jobs go on by themselves" in said
    until(lambda: load_run(sweep / "0").finished)


def test_a_node_on_which_nothing_starts_costs_no_run(slurm: Slurm, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    broken = f'[ "$SLURMD_NODENAME" != {BAD} ] || export PYTHONHOME=/nowhere'
    done = snnrun(*words(SHORT, sweep, "MODEL_SEED=1,2,3", f"hydra.launcher.setup=['{broken}']"))
    assert done.returncode == 0, done.stderr + log(sweep)
    assert f"s on {BAD}: next on another node" in log(sweep)
    assert all(load_run(sweep / name).finished for name in "012")


def test_a_job_that_is_refused_is_tried_once(slurm: Slurm, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    done = snnrun(*words(SHORT, sweep, "MODEL_SEED=1", "N_BATCH=20,-1"))
    assert done.returncode == 2
    assert re.search("refused +N_BATCH=-1", done.stdout)
    assert load_run(sweep / "0").finished
    assert "on another node" not in log(sweep)


def test_what_slurm_refuses_is_told_in_its_words(slurm: Slurm, tmp_path: Path) -> None:
    done = snnrun(
        *words(SHORT, tmp_path / "sweep", "MODEL_SEED=1,2", "hydra.launcher.partition=no")
    )
    assert done.returncode == 2
    assert "invalid partition" in done.stderr
    assert "Traceback" not in done.stderr
