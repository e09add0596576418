"""Training from several threads of one process, also within an application of Hydra's."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from runs import SMALL

import snnrun
from snnrun.commands.arguments import CommandLine
from snnrun.commands.compose import composed

KEYS = {**SMALL, "N_EPOCH": 1, "WRITE_TO_DISK": False, "backend": {"threads": 1}}
COMPOSED = {"preset": "yinyang_wp2021", "network": "recurrent", "record": "none"}

APPLICATION = """\
import sys, warnings
warnings.simplefilter("error")
from concurrent.futures import ThreadPoolExecutor
import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from snnrun.commands.arguments import CommandLine
from snnrun.commands.compose import composed

def line(seed):
    return CommandLine(options={}, overrides=["preset=yinyang_wp2021", f"MODEL_SEED={seed}"])

def application(cfg):
    before = GlobalHydra.instance().hydra
    with ThreadPoolExecutor(4) as pool:
        print([found.MODEL_SEED for found, _ in pool.map(composed, map(line, range(8)))])
    assert GlobalHydra.instance().hydra is before and HydraConfig.get().job.name == "mine"

from snnrun.commands.compose import VERSION
sys.argv = ["mine", "hydra.run.dir=.", "hydra.output_subdir=null", "hydra.job.name=mine",
            "hydra/job_logging=disabled"]
hydra.main(**VERSION, config_path=None)(application)()
"""


def line(seed: int) -> CommandLine:
    words = [*(f"{group}={name}" for group, name in COMPOSED.items()), f"MODEL_SEED={seed}"]
    return CommandLine(options={}, overrides=words)


@pytest.mark.long
def test_threads_compose_at_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(composed, map(line, range(24))))
    assert [cfg.MODEL_SEED for cfg, _ in found] == list(range(24))
    assert {cfg.RECURRENT for cfg, _ in found} == {True}


def test_threads_compose_while_an_application_of_hydras_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", APPLICATION],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(list(range(8)))


@pytest.mark.long
def test_threads_train_what_one_thread_trains() -> None:
    def accuracy(seed: int) -> float:
        keys = {**KEYS, **COMPOSED, "MODEL_SEED": seed}
        return float(snnrun.train(keys, progress=False).epochs["train_accuracy"][-1])

    seeds = [1, 2, 3]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(accuracy, seeds))
    assert together == [accuracy(seed) for seed in seeds]
