from __future__ import annotations

import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from runs import SMALL, here, overrides

from snnrun.errors import RecordError
from snnrun.record.ending import End, write_end
from snnrun.record.owner import SILENCE_S, claim
from snnrun.record.paths import RunPaths
from snnrun.sweeps.asked import (
    Asked,
    AskedJob,
    add_jobs,
    adding_jobs,
    asked_jobs,
    read_asked,
    write_asked,
)
from snnrun.sweeps.sweep import find_sweeps, read_sweep

JOBS = tuple(
    AskedJob(number=n, words=(f"ETA={eta}",), folder=str(n)) for n, eta in enumerate("1234567")
)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of four jobs, two of which are refused."""
    folder = tmp_path_factory.mktemp("sweep") / "etas"
    keys = overrides({key: value for key, value in SMALL.items() if key != "MODEL_SEED"})
    done = here("train", "-m", *keys, "ETA=1e-3,-1", "MODEL_SEED=1,2", f"hydra.sweep.dir={folder}")
    assert done.returncode == 2
    return folder


def test_a_multirun_says_what_was_asked_of_it_and_its_runs_how_they_stand(swept: Path) -> None:
    sweep = read_sweep(swept)
    assert [job.overrides for job in sweep.jobs] == [
        {"ETA": eta, "MODEL_SEED": seed} for eta in ("0.001", "-1") for seed in "12"
    ]
    assert "NUM_HIDDEN=30" in sweep.jobs[0].base
    assert "ETA=1e-3,-1" in sweep.asked[0].words
    assert sweep.counts == {"finished": 2, "refused": 2}
    first, _, refused, _ = sweep.jobs
    assert (first.epochs, first.n_epochs) == (3, 3)
    assert 0 < first.validation_score <= first.best_score <= 1
    assert first.test_score > 0
    assert first.seconds > 0
    assert "ETA" in refused.reason
    assert find_sweeps(swept.parent) == [swept]


def test_a_folder_without_what_was_asked_has_a_job_for_each_run(
    swept: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(swept, tmp_path / "copy")
    shutil.rmtree(copy / ".sweep")
    sweep = read_sweep(copy)
    assert [job.number for job in sweep.jobs] == [0, 1, 2, 3]
    assert [job.overrides["ETA"] for job in sweep.jobs] == ["0.001", "0.001", "-1", "-1"]


def test_jobs_whose_folders_have_other_names_are_found_by_their_configuration(
    swept: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(swept, tmp_path / "copy")
    (copy / "1").rename(copy / "second")
    (request,) = (copy / ".sweep").glob("*.json")
    asked = json.loads(request.read_text())
    for job in asked["jobs"]:
        job["folder"] = ""
    request.write_text(json.dumps(asked))
    first = read_sweep(copy).jobs[1]
    assert first.folder == copy / "second"
    with RunPaths(first.folder).overrides.open("a") as file:
        file.write("- NUM_HIDDEN=7\n")
    add_jobs(copy, [AskedJob(number=9, words=(*first.words, "NUM_HIDDEN=7"))])
    sweep = read_sweep(copy)
    assert sweep.jobs[1].state == "waiting"  # another job has all its words, and one more
    assert sweep.jobs[-1].folder == first.folder


def test_each_job_is_in_the_state_that_its_folder_tells(tmp_path: Path) -> None:
    write_asked(tmp_path, Asked(words=("-m", "ETA=1,2,3,4,5,6,7"), jobs=JOBS))
    paths = [RunPaths(tmp_path / job.folder) for job in JOBS]
    for place, state in ((1, "stopped"), (2, "exploded"), (3, "failed")):
        paths[place].root.mkdir()
        write_end(paths[place], End(state, "why"))
    with claim(paths[4]):
        owner = json.loads(paths[4].pid.read_text())
        for place, other in ((5, {"started": "9"}), (6, {"machine": "another", "host": "node7"})):
            paths[place].root.mkdir()
            paths[place].pid.write_text(json.dumps(owner | other))
        states = [job.state for job in read_sweep(tmp_path).jobs]
        assert states == [
            "waiting", "stopped", "exploded", "failed", "running", "killed", "running",
        ]  # fmt: skip
        assert read_sweep(tmp_path).jobs[6].host == "node7"
        long_ago = paths[6].pid.stat().st_mtime - 2 * SILENCE_S
        os.utime(paths[6].pid, (long_ago, long_ago))
        assert read_sweep(tmp_path).jobs[6].state == "killed"


def test_jobs_are_added_in_files_of_their_own(tmp_path: Path) -> None:
    write_asked(tmp_path, Asked(words=("-m",), jobs=JOBS[:2]))
    add_jobs(tmp_path, JOBS[2:4])
    add_jobs(tmp_path, JOBS[4:])
    assert [len(request.jobs) for request in read_asked(tmp_path)] == [2, 2, 3]
    assert [job.number for job in read_sweep(tmp_path).jobs] == list(range(7))


def test_jobs_that_are_added_at_the_same_time_get_numbers_of_their_own(tmp_path: Path) -> None:
    def add(eta: int) -> None:
        with adding_jobs(tmp_path):
            number = len(list(asked_jobs(tmp_path)))
            time.sleep(0.02)
            add_jobs(tmp_path, [AskedJob(number=number, words=(f"ETA={eta}",), folder=str(number))])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    assert [job.number for job in read_sweep(tmp_path).jobs] == list(range(4))


def test_a_damaged_request_is_named(tmp_path: Path) -> None:
    path = write_asked(tmp_path, Asked(jobs=JOBS))
    path.write_text("{}")
    with pytest.raises(RecordError, match=path.name):
        read_sweep(tmp_path)
