"""scripts/gpu_check: every check is reported, whatever becomes of the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gpu.choice import Choice
from gpu.jobs import Job, jobs_of
from gpu.outcome import FailedError, SkippedError
from gpu.schedule import run_all
from gpu.table import table_of

TOP = Path(__file__).parents[2]
SMALL = Choice(device="single_threaded_cpu", small=True)


def passes(choice: Choice, folder: Path, place: Path) -> dict[str, Any]:
    return {"ms per batch": 12.5}


def differs(choice: Choice, folder: Path, place: Path) -> dict[str, Any]:
    raise FailedError("tensors differ")


def means_nothing(choice: Choice, folder: Path, place: Path) -> dict[str, Any]:
    raise SkippedError("not here")


def ends_the_process(choice: Choice, folder: Path, place: Path) -> dict[str, Any]:
    print("cuda runtime error 2", flush=True)
    os._exit(7)


def hangs(choice: Choice, folder: Path, place: Path) -> dict[str, Any]:
    (folder / "hanging").write_text(str(os.getpid()))
    time.sleep(1000)
    return {}


def job(work: Callable[..., dict[str, Any]], seconds: float = 100.0, **more: bool) -> Job:
    name = work.__name__.replace("_", " ")
    return Job(part="speed", name=name, work=work, choice=SMALL, seconds=seconds, **more)


@pytest.mark.long
def test_a_check_that_fails_hangs_or_ends_its_process_leaves_the_others(tmp_path: Path) -> None:
    jobs = [job(differs), job(hangs, 6.0), job(ends_the_process), job(means_nothing)]
    results = run_all([*jobs, job(passes, alone=True)], tmp_path, seconds=200, workers=2)
    found = {result["name"]: (result["state"], result.get("why")) for result in results}
    assert found == {
        "differs": ("failed", "tensors differ"),
        "hangs": ("failed", "it took longer than 6 s"),
        "ends the process": ("failed", "its process ended with code 7"),
        "means nothing": ("skipped", "not here"),
        "passes": ("passed", None),
    }
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "hanging").read_text()), 0)
    table = table_of(results)
    assert "cuda runtime error 2" in table
    assert table.splitlines()[-1].split() == ["passes", "12.5", *["-"] * 5]


def test_no_check_is_begun_without_a_device_or_when_time_is_over(tmp_path: Path) -> None:
    nothing = replace(job(differs, first=True), part="found")
    results = run_all([nothing, job(passes)], tmp_path, seconds=60, workers=2)
    assert [result["name"] for result in results] == ["differs"]
    noted: list[list[str]] = []

    def note(results: list[dict[str, Any]]) -> None:
        noted.append([one["name"] for one in results])

    late = run_all([job(passes), job(differs)], tmp_path, seconds=0, workers=1, note=note)
    assert [(one["state"], one["seconds"]) for one in late] == [("failed", 0)] * 2
    assert "time for the whole check was over" in late[0]["why"]
    assert noted == [["passes"], ["passes", "differs"]]


def test_every_check_has_a_folder_of_its_own_and_cuda_has_graphs_too() -> None:
    for small in (True, False):
        for device in ("cuda", "single_threaded_cpu"):
            jobs = jobs_of(Choice(device=device, small=small))
            assert len({one.place for one in jobs}) == len(jobs)
            graphs = [one.name for one in jobs if "cuda_graph" in one.name]
            assert bool(graphs) == (device == "cuda")


def check(*words: str, folder: Path) -> tuple[int, str, dict[str, Any]]:
    command = [sys.executable, str(TOP / "scripts" / "gpu_check"), *words]
    done = subprocess.run(
        [*command, "--json", str(folder / "found.json")],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, json.loads((folder / "found.json").read_text())


def test_a_machine_without_a_gpu_is_told_so_at_once(tmp_path: Path) -> None:
    code, said, found = check("--device", "hip", folder=tmp_path)
    assert (code, found["passed"]) == (1, False)
    assert [result["name"] for result in found["results"]] == ["what there is"]
    assert "1 of 1 checks did not pass" in said
    assert "PyGeNN" in found["results"][0]["why"]


@pytest.mark.genn
@pytest.mark.long
def test_the_check_passes_on_the_cpu_backend(tmp_path: Path) -> None:
    words = ("--small", "--device", "single_threaded_cpu", "--minutes", "30")
    code, said, found = check(*words, folder=tmp_path)
    assert (code, found["passed"]) == (0, True), said
    states = {result["name"]: result["state"] for result in found["results"]}
    assert states["parity: graph with delays"] == "passed"
    assert set(states.values()) == {"passed", "skipped"}
    timed = [r["figures"] for r in found["results"] if "ms per batch" in r.get("figures", {})]
    assert len(timed) == 9
    assert all(figures["ms per batch"] > 0 for figures in timed)
