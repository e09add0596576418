"""Ranks that are killed or asked to stop: all end, and the run goes on from its checkpoint."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mpi import environment, on_ranks, rank_of
from runs import LONG, OPTIMISED, SMALL, assert_same_run, end, overrides, snnrun, wait_for_epochs

pytestmark = [pytest.mark.mpi, pytest.mark.long]
SECONDS = 10.0  # until all have ended


@contextmanager
def started(line: list[str]) -> Iterator[subprocess.Popen]:
    """Start ranks, and end what is left of them."""
    process = subprocess.Popen(
        line,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_where_a_rank_is_killed_all_end_and_the_run_goes_on(tmp_path: Path, wanted: int) -> None:
    words = overrides({**SMALL, **OPTIMISED, "N_TRAIN": 3000, "N_EPOCH": 8})
    one, many = tmp_path / "one", tmp_path / "many"
    assert snnrun("train", *words, f"hydra.run.dir={one}").returncode == 0
    with started(on_ranks(3, "train", *words, f"hydra.run.dir={many}")) as process:
        wait_for_epochs(many, 2, process)
        others = [rank_of(many, rank) for rank in range(3) if rank != wanted]
        killed = time.monotonic()
        os.kill(rank_of(many, wanted), signal.SIGKILL)
        code, _ = end(process)
        wait_until_gone(others)
    assert code != 0
    assert time.monotonic() - killed < SECONDS
    with started(on_ranks(2, "resume", str(many))) as process:
        code, said = end(process)
    assert code == 0, said
    assert_same_run(one, many)


@pytest.mark.parametrize(
    ("number", "who", "code"),
    [
        (signal.SIGINT, "all", 130),
        (signal.SIGTERM, "all", 143),
        (signal.SIGTERM, "rank 1", 143),
        (None, "TIME_LIMIT", 124),
    ],
)
def test_a_request_to_stop_ends_all_ranks_at_one_mini_batch(
    tmp_path: Path, number: int | None, who: str, code: int
) -> None:
    folder = tmp_path / "run"
    more = ["TIME_LIMIT=0.5"] if number is None else []
    line = on_ranks(2, "train", *overrides(LONG), *more, f"hydra.run.dir={folder}")
    with started(line) as process:
        wait_for_epochs(folder, 1, process)
        others = [rank_of(folder, 1)]
        if number is not None and who == "all":
            os.killpg(process.pid, number)
        elif number is not None:
            os.kill(others[0], number)
        found, said = end(process)
        wait_until_gone(others)
    assert found == code, said
    assert "everything is saved. Go on with:" in said
    assert (folder / "checkpoints" / "last.h5").exists()


def test_an_error_of_another_rank_ends_the_run_with_its_words(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    wrapper = tmp_path / "small"
    wrapper.write_text('#!/bin/sh\n[ "$PMI_RANK" = 1 ] && export CXX=/nowhere/g++\nexec "$@"\n')
    wrapper.chmod(0o755)
    mpiexec, n, count, *words = on_ranks(2, "train", *overrides(SMALL), f"hydra.run.dir={folder}")
    with started([mpiexec, n, count, str(wrapper), *words]) as process:
        code, said = end(process)
    assert code == 2
    assert "rank 1 (process" in said
    assert "/nowhere/g++" in said


def wait_until_gone(pids: list[int]) -> None:
    def gone() -> bool:
        return not any(Path(f"/proc/{pid}/cwd").exists() for pid in pids)

    limit = time.monotonic() + SECONDS
    while not gone():
        assert time.monotonic() < limit, "a rank goes on"
        time.sleep(0.05)
