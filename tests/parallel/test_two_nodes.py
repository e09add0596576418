"""Ranks on two nodes: each has its own data, and one that is lost ends the run."""

from __future__ import annotations

from pathlib import Path

import pytest
import two_nodes
from mpi import missing, rank_of
from runs import OPTIMISED, SMALL, assert_same_run, end, overrides, snnrun, wait_for_epochs
from test_stopped_ranks import wait_until_gone
from two_nodes import cut, on_two_nodes

WHY_NOT = "" if missing() else two_nodes.missing()  # what no rank can run is left out elsewhere

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.long,
    pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-"),
]


@pytest.mark.parametrize("lost", two_nodes.NODES)
def test_where_a_node_is_lost_all_ranks_and_mpiexec_end_and_the_run_goes_on(
    tmp_path: Path, lost: str
) -> None:
    words = overrides({**SMALL, **OPTIMISED, "N_TRAIN": 3000, "N_EPOCH": 100})
    one, two = tmp_path / "one", tmp_path / "two"
    assert snnrun("train", *words, f"hydra.run.dir={one}").returncode == 0
    with on_two_nodes(tmp_path, "train", *words, f"hydra.run.dir={two}") as process:
        wait_for_epochs(two, 2, process)
        ranks = [rank_of(two, rank) for rank in range(2)]
        cut(process, lost)
        code, said = end(process)
        wait_until_gone(ranks)
    assert code != 0
    assert "finished" not in said
    number = two_nodes.NODES.index(lost)
    assert f"rank {number} (process {ranks[number]} on {lost}) has ended without a word" in said
    assert "All ranks end" in said
    done = snnrun("resume", str(two))
    assert done.returncode == 0, done.stderr
    assert_same_run(one, two)


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_node_gets_a_copy_of_the_data_that_it_cannot_see(tmp_path: Path, on_disk: bool) -> None:
    files = tmp_path / "files"
    files.mkdir()
    words = overrides({**SMALL, "N_EPOCH": 2} | ({"DATA_ON_DISK": str(files)} if on_disk else {}))
    one, two = tmp_path / "one", tmp_path / "two"
    assert snnrun("train", *words, f"hydra.run.dir={one}").returncode == 0
    with on_two_nodes(tmp_path, "train", *words, f"hydra.run.dir={two}", hidden=files) as process:
        code, said = end(process)
    assert code == 0, said
    assert_same_run(one, two)
