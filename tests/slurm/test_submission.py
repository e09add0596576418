"""What is submitted to Slurm, and what is refused before; no Slurm is needed."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from snnrun.cli import main
from snnrun.commands.slurm import checked
from snnrun.config import conf_dir
from snnrun.errors import ConfigError
from snnrun.machine import usable_cores
from snnrun.slurm.submit import Batch, script_text

DEFAULTS: Any = OmegaConf.to_container(OmegaConf.load(conf_dir() / "hydra/launcher/slurm.yaml"))
del DEFAULTS["_target_"]


def script(tmp_path: Path, runs: int = 5, **settings: Any) -> str:
    """Return the script of an array with these settings."""
    settings = checked(DEFAULTS | settings)
    batch = Batch(
        sweep=str(tmp_path),
        words=[],
        folders=[],
        config_name="config",
        first=0,
        runs=[[]] * runs,
        runs_per_job=settings["runs_per_job"],
    )
    return script_text(batch, settings, tmp_path / "a b.json", tmp_path / "a b.sh")


def test_runs_are_packed_into_the_tasks_of_an_array(tmp_path: Path) -> None:
    text = script(tmp_path, 10, runs_per_job=4, array_parallelism=2, gpus_per_task=1)
    assert "#SBATCH --array=0-2%2\n" in text
    assert "#SBATCH --ntasks=4\n" in text
    assert "#SBATCH --gpus-per-task=1\n" in text
    assert "--partition" not in text


def test_further_options_of_sbatch_come_as_they_are_given(tmp_path: Path) -> None:
    more = {"exclusive": True, "mail_type": "END", "time": "1-12", "exclude": "node[1-2]"}
    text = script(tmp_path, additional_parameters=more, setup=["module load gcc"])
    for line in ("exclusive", "mail-type=END", "time=1-12", "exclude='node[1-2]'"):
        assert f"#SBATCH --{line}\n" in text
    assert text.count("#SBATCH --time") == 1
    assert '--exclude="$tried,node[1-2]"' in text
    assert "  module load gcc\n" in text


def test_the_script_is_one_that_bash_reads(tmp_path: Path) -> None:
    done = subprocess.run(["bash", "-n"], input=script(tmp_path), text=True, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("runs_per_job", 0, "a whole number of at least 1"),
        ("timeout_min", "1-00", "a whole number of at least 1"),
        ("detach", 3, "hydra.launcher.detach=true"),
        ("setup", "module load gcc", r"setup=\[module load gcc\]"),
        ("tasks_per_node", 4, "there is no tasks_per_node"),
    ],
)
def test_a_setting_of_the_launcher_that_is_wrong_is_told(name: str, value: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        checked(DEFAULTS | {name: value})


def test_where_there_is_no_slurm_one_message_says_so(
    places: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(places))
    assert main(["train", "-m", "hydra/launcher=slurm", "MODEL_SEED=1,2"]) == 2
    said = capfd.readouterr().err
    assert "there is no sbatch here" in said
    assert "Traceback" not in said


def test_other_commands_than_train_are_not_submitted(
    places: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["compile", "-m", "hydra/launcher=slurm", "NUM_HIDDEN=10,20"]) == 2
    assert "runs `snnrun train` only, not compile" in capfd.readouterr().err


def test_a_job_uses_the_cores_that_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_CPUS_ON_NODE", raising=False)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    free = usable_cores()
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "1")
    assert usable_cores() == 1
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1000")  # more than there are
    assert usable_cores() == free
