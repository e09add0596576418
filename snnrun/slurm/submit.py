"""Jobs of Slurm for the jobs of a multirun: an array, each task of which makes one run or several.

What is submitted stays in ``.slurm/`` in the folder of the sweep: of each array the script
(NAME.sh) and what it runs (NAME.json); ``ids``, the numbers of all that was submitted, also of jobs
that are tried again on another node; and the logs (JOB_TASK.log, and JOB_TASK_RUN.log of each run).
"""

from __future__ import annotations

import json
import secrets
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from snnrun.errors import ConfigError
from snnrun.files import atomic_file
from snnrun.slurm import ask

FOLDER = ".slurm"  # in that of a sweep
TASK = "snnrun.commands.slurm_task"  # the module that makes one run
QUICK_S = 30  # what fails so soon is tried on another node
TIME_IS_UP = 140  # exit code of a run that SIGUSR2 has stopped
# keys of conf/hydra/launcher/slurm.yaml that are options of sbatch by another name
OPTIONS = {"name": "job-name", "timeout_min": "time", "runs_per_job": "ntasks"}
SAME = ("partition", "account", "qos", "cpus_per_task", "gpus_per_task", "mem_per_cpu")


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What the tasks of an array run.

    Args:
        sweep: The folder of the sweep.
        words: The overrides of Hydra's own that all runs have.
        folders: Of the user's configuration files.
        config_name: Of the first file.
        first: The number of the first run.
        runs: The overrides of each.
        runs_per_job: How many runs a task of the array makes.
    """

    sweep: str
    words: Sequence[str]
    folders: Sequence[str]
    config_name: str
    first: int
    runs: Sequence[Sequence[str]]
    runs_per_job: int


def submit(batch: Batch, settings: Mapping[str, Any]) -> str:
    """Submit the runs of a batch; return the number of the array.

    Raises:
        ConfigError: Slurm refuses it, in its words.
    """
    folder = Path(batch.sweep) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    name = secrets.token_hex(4)
    jobs, script = folder / f"{name}.json", folder / f"{name}.sh"
    with atomic_file(jobs) as file:
        file.write(json.dumps(asdict(batch), indent=1).encode())
    with atomic_file(script) as file:
        file.write(script_text(batch, settings, jobs, script).encode())
    try:
        number = ask("sbatch", "--parsable", str(script)).strip().partition(";")[0]
    except subprocess.CalledProcessError as error:
        raise ConfigError(
            f"sbatch refuses the jobs: {error.stderr.strip()}. Settings of hydra.launcher, and "
            f"hydra.launcher.additional_parameters, are options of sbatch; the script is {script}"
        ) from error
    with (folder / "ids").open("a") as file_of_ids:
        file_of_ids.write(f"{number}\n")
    return number


def read_batch(file: Path) -> Batch:
    """Return what ``submit`` wrote."""
    return Batch(**json.loads(file.read_text()))


def script_text(batch: Batch, settings: Mapping[str, Any], jobs: Path, script: Path) -> str:
    """Return the script of an array."""
    more = {name.replace("_", "-"): v for name, v in settings["additional_parameters"].items()}
    text = (files(__package__) / "job.sh").read_text()
    exclude = more.get("exclude")
    task = [sys.executable, "-u", "-m", TASK, str(jobs)]
    body = text.format(
        setup="\n  ".join(settings["setup"]),
        logs=shlex.quote(str(script.parent)),
        task=shlex.join(task),
        time_is_up=TIME_IS_UP,
        max_num_timeout=settings["max_num_timeout"],
        quick_s=QUICK_S,
        max_nodes=settings["max_nodes"],
        exclude=f",{exclude}" if exclude else "",
        script=shlex.quote(str(script)),
        ids=shlex.quote(str(script.parent / "ids")),
    )
    given = _options(batch, settings, script.parent) | more
    lines = [
        f"#SBATCH --{name}" if value is True else f"#SBATCH --{name}={shlex.quote(str(value))}"
        for name, value in given.items()
        if value is not None
    ]
    return "\n".join(["#!/bin/bash", *lines, body])


def queued(sweep: Path) -> dict[str, set[str]]:
    """Return the arrays of a sweep of which jobs wait or run: number -> why its jobs wait.

    Raises:
        OSError: There is no squeue.
        subprocess.SubprocessError: It does not answer.
    """
    mine = submitted(sweep)
    found: dict[str, set[str]] = {}
    for line in ask("squeue", "--me", "--noheader", "--format=%F %r").splitlines() if mine else ():
        number, _, reason = line.strip().partition(" ")
        if number in mine:
            found.setdefault(number, set()).add(reason)
    return found


def submitted(sweep: Path) -> list[str]:
    """Return the numbers of all arrays that were submitted for a sweep, of ended ones too."""
    ids = sweep / FOLDER / "ids"
    return ids.read_text().split() if ids.exists() else []


def _options(batch: Batch, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    tasks = -(-len(batch.runs) // batch.runs_per_job)
    at_once = min(tasks, settings["array_parallelism"])
    return {
        **{option: settings[key] for key, option in OPTIONS.items()},
        **{key.replace("_", "-"): settings[key] for key in SAME},
        "nodes": 1,
        "array": f"0-{tasks - 1}%{at_once}",
        "signal": f"USR2@{settings['signal_delay_s']}",
        "requeue": True,
        "open-mode": "append",
        "output": folder / "%A_%a.log",
    }
