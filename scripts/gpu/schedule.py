"""Runs jobs in processes of their own, each with a time limit: one that fails, hangs or ends its
process, as GeNN does in some errors, leaves the others as they are.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

from gpu.jobs import FOUND, Job
from gpu.outcome import TOP, FailedError, SkippedError

from snnrun.errors import SnnrunError

Result = dict[str, Any]
JOB, RESULT, SAID = "job.pickle", "result.json", "said.txt"
LAST_LINES = 12  # of what a failed job said


def run_all(
    jobs: Sequence[Job],
    folder: Path,
    *,
    seconds: float,
    workers: int,
    note: Callable[[list[Result]], None] = lambda results: None,
) -> list[Result]:
    """Run jobs and return their results: untimed ones side by side, then the others one by one.

    ``first`` jobs come before them; without a device that can be used nothing else is begun. All
    of it takes at most ``seconds``. ``note`` is given what there is after each job.
    """
    end = time.monotonic() + seconds
    results: dict[str, Result] = {}
    one_at_a_time = Lock()

    def run(job: Job) -> Result:
        result = _run(job, folder, min(job.seconds, end - time.monotonic()))
        with one_at_a_time:
            results[job.name] = result
            note([results[job.name] for job in jobs if job.name in results])
            print(f"{result['state']:8} {job.name}  {result['seconds']:.1f} s", flush=True)
        return result

    for job in jobs:
        if job.first and run(job)["state"] == "failed" and job.part == FOUND:
            return list(results.values())
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(run, [job for job in jobs if not job.first and not job.alone]))
    for job in jobs:
        if job.alone:
            run(job)
    return [results[job.name] for job in jobs]


def _run(job: Job, folder: Path, limit: float) -> Result:
    result: Result = {"part": job.part, "name": job.name, "state": "failed", "seconds": 0.0}
    if limit <= 0:
        return result | {"why": "not begun: the time for the whole check was over"}
    place = folder / job.place
    place.mkdir()
    (place / JOB).write_bytes(pickle.dumps((job, folder, place)))
    command = [sys.executable, str(TOP / "scripts" / "gpu_check"), "--job", str(place / JOB)]
    began = time.monotonic()
    with (place / SAID).open("wb") as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = process.wait(limit)
            why = f"its process ended with code {code}" if code else ""
        except subprocess.TimeoutExpired:
            why = f"it took longer than {limit:.0f} s"
        finally:
            _kill(process)
    result["seconds"] = time.monotonic() - began
    if not why and (place / RESULT).exists():
        found = json.loads((place / RESULT).read_text())
        if found["state"] != "failed":
            return result | found
        why = found["why"]
    lines = (place / SAID).read_text(errors="replace").strip().splitlines()
    return result | {"why": why or "no result", "said": lines[-LAST_LINES:]}


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a job and all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def carry_out(file: str) -> int:
    """Do one job in this process, and write its result into its folder."""
    job, folder, place = pickle.loads(Path(file).read_bytes())
    found: Result
    try:
        found = {"state": "passed", "figures": job.work(job.choice, folder, place)}
    except SkippedError as why:
        found = {"state": "skipped", "why": str(why)}
    except (FailedError, SnnrunError) as why:
        found = {"state": "failed", "why": str(why)}
    except Exception as error:
        found = {"state": "failed", "why": f"{type(error).__name__}: {error}"}
        traceback.print_exc()
    (place / RESULT).write_text(json.dumps(found))
    return 0
