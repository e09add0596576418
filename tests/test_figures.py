"""scripts/figures: measures presets over seeds, and writes what they give into their headers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from runs import TIMEOUT_S

from snnrun import train
from snnrun.presets import read

SCRIPT = Path(__file__).parents[1] / "scripts" / "figures"
HEADER = """\
# @package _global_
# snnrun train preset=tiny
# source: ours
# published: none
{here}# run time: no time
"""
VALUES = """\
defaults:
  - override /dataset: yinyang

NUM_HIDDEN: 30             # a note
DT_MS: 0.2
N_BATCH: 20
N_TRAIN: 130
N_VALIDATE: 50
N_EPOCH: 3
"""
KEYS = {
    "NUM_HIDDEN": 30,
    "DT_MS": 0.2,
    "N_BATCH": 20,
    "N_TRAIN": 130,
    "N_VALIDATE": 50,
    "N_TEST": 500,
    "N_EPOCH": 3,
    "WRITE_TO_DISK": False,
    "preset": "none",
}
EARLIER = (
    "# here: test 50 % (MODEL_SEED=1; last epoch, one run); on a hill; commit abc; and a\n"
    "#   second line\n"
)


def figures(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *words],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )


@pytest.mark.usefixtures("places")
@pytest.mark.long
@pytest.mark.parametrize("here", [EARLIER, ""])
def test_the_figures_of_the_seeds_are_in_the_header_and_nothing_else_has_changed(here: str) -> None:
    file = Path("conf/preset/tiny.yaml")
    file.parent.mkdir(parents=True)
    file.write_text(HEADER.format(here=here) + VALUES)
    done = figures("tiny", "--seeds", "1,2", "--config-dir", "conf", "N_TEST=500")
    assert done.returncode == 0, done.stderr
    shares = [
        100 * train(KEYS | {"MODEL_SEED": n}, progress=False).test["accuracy"] for n in (1, 2)
    ]
    mean, sd = sum(shares) / 2, abs(shares[0] - shares[1]) / 2**0.5
    preset = read(file)
    assert preset.figure_here == f"{mean:.2f} +- {sd:.2f} %"
    assert "(MODEL_SEED=1,2 N_TEST=500; last epoch, n 2, sample sd)" in preset.here
    assert ("on a hill" in preset.here) == bool(here)
    assert "second line" not in preset.here
    assert f"{shares[0]:.4g} % {shares[1]:.4g} %" in done.stdout
    text = file.read_text()
    assert text.endswith("# run time: no time\n" + VALUES)
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.usefixtures("places")
def test_the_header_stays_where_runs_fail() -> None:
    file = Path("conf/preset/tiny.yaml")
    file.parent.mkdir(parents=True)
    file.write_text(HEADER.format(here=EARLIER) + VALUES)
    done = figures("tiny", "--seeds", "1", "--config-dir", "conf", "DT_MS=-1")
    assert done.returncode == 2
    assert "DT_MS=-1" in done.stderr
    assert "Traceback" not in done.stderr
    assert file.read_text() == HEADER.format(here=EARLIER) + VALUES


def test_a_preset_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = figures("tinny", "--config-dir", str(tmp_path))
    assert done.returncode == 2
    assert "tinny: no such preset" in done.stderr
