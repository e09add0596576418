"""The jobs of a multirun with `hydra/launcher=slurm`: submitted, and waited for or left."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import SubprocessError
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from snnrun.commands.compose import Origin
from snnrun.commands.jobs import GIVES_FOLDER
from snnrun.config import conf_dir, words_in
from snnrun.errors import ConfigError, SnnrunError
from snnrun.shell import Line, command
from snnrun.slurm.submit import FOLDER, OPTIONS, SAME, Batch, queued, submit, submitted
from snnrun.stop import stop_requests
from snnrun.sweeps.sweep import WAITING, Job, read_sweep

LOOK_S = 2.0, 30.0  # between two questions to Slurm: at first, and after ten minutes
# why jobs wait, where nobody need be told
USUAL = {"None", "Resources", "Priority", "JobArrayTaskLimit", "BeginTime", "Cleaning"}
LEAST = {  # of whole numbers
    **dict.fromkeys(("cpus_per_task", "runs_per_job", "array_parallelism", "timeout_min"), 1),
    **dict.fromkeys(("signal_delay_s", "max_num_timeout"), 0),
    "max_nodes": 1,
}
KINDS = {
    "detach": (bool, "true or false", "true"),
    "setup": (list, "a list of lines of the shell", "[module load gcc]"),
    "additional_parameters": (dict, "options of sbatch by name", "{constraint: a100}"),
}
LOST = ("killed", WAITING)  # states of a run of which Slurm has no job any more
NO_SLURM = (
    "hydra/launcher=slurm: there is no sbatch here, Slurm's command. Start it on a machine of the "
    "cluster, or run the jobs here with hydra/launcher=joblib"
)


class Left(SystemExit):
    """A multirun was left whose jobs go on by themselves."""


def launch(
    runs: Sequence[Sequence[str]], first: int, config: Any, task: Any, settings: Mapping[str, Any]
) -> list[JobReturn]:
    """Submit the runs of a multirun, and wait for them unless ``detach`` asks to leave.

    Args:
        runs: The overrides of each.
        first: The number of the first.
        config: As Hydra has composed it, with its own node.
        task: The application, of `snnrun train`.
        settings: As conf/hydra/launcher/slurm.yaml has them.

    Raises:
        ConfigError: There is no Slurm, it refuses the jobs, or has some of this sweep already.
        Left: The jobs go on without this process.
    """
    if task.name != "train":
        raise ConfigError(f"hydra/launcher=slurm: runs `snnrun train` only, not {task.name}")
    own = config.hydra
    sweep = Path(own.sweep.dir).absolute()
    settings = checked(settings)
    if settings["detach"] and own.sweeper.get("max_batch_size"):
        raise ConfigError(
            "hydra.launcher.detach=true: leaves once all jobs are submitted, so it goes with no "
            "hydra.sweeper.max_batch_size; hydra.launcher.array_parallelism limits the jobs at "
            "the same time"
        )
    batch = Batch(
        sweep=str(sweep),
        words=[word for word in words_in(own.overrides.hydra) if not _of_sweep(word)],
        folders=[str(f) for f in Origin.of(own).folders if f != conf_dir()],
        config_name=own.job.config_name,
        first=first,
        runs=[list(run) for run in runs],
        runs_per_job=settings["runs_per_job"],
    )
    try:
        if there := queued(sweep):
            raise ConfigError(
                f"{sweep}: jobs of this sweep are in Slurm's queue already. Wait for them, or end "
                f"them first: {cancel(there)}"
            )
        number = submit(batch, settings)
    except FileNotFoundError as error:
        raise ConfigError(NO_SLURM) from error
    except SubprocessError as error:
        raise ConfigError(f"Slurm does not answer: {getattr(error, 'stderr', error)}") from error
    print(f"submitted to Slurm: {len(runs)} runs as job {number}", flush=True)
    if settings["detach"]:
        leave(sweep, 0)
    wait(sweep)
    jobs = read_sweep(sweep).jobs
    return [_returned(run, jobs, sweep / FOLDER) for run in runs]


def checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the launcher as plain values.

    Raises:
        ConfigError: One is of the wrong kind, or too small.
    """
    plain = {
        name: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
        for name, value in settings.items()
    }
    if unknown := plain.keys() - {*OPTIONS, *SAME, *LEAST, *KINDS}:
        raise ConfigError(
            f"hydra.launcher: there is no {', '.join(sorted(unknown))}. Options of sbatch that "
            "have no key of their own go to hydra.launcher.additional_parameters"
        )
    for name, least in LEAST.items():
        value = plain[name]
        if type(value) is not int or value < least:
            raise ConfigError(
                f"hydra.launcher.{name}={value}: must be a whole number of at least {least}"
            )
    for name, (kind, what, example) in KINDS.items():
        if not isinstance(plain[name], kind):
            raise ConfigError(
                f"hydra.launcher.{name}={plain[name]}: must be {what}, as in "
                f"'hydra.launcher.{name}={example}'"
            )
    return plain


def wait(sweep: Path) -> None:
    """Wait until Slurm has no job of a sweep any more.

    Raises:
        Left: A signal asked for the end of the wait.
    """
    told: set[str] = set()
    began = time.monotonic()
    with stop_requests() as stop:
        while True:
            with suppress(SubprocessError):  # squeue may not answer now
                there = queued(sweep)
                if not there:
                    return
                for number, reasons in there.items():
                    for reason in sorted(reasons - USUAL - told):
                        told.add(reason)
                        print(f"job {number} waits, as Slurm says: {reason}", flush=True)
            now = time.monotonic()
            end = now + min(LOOK_S[1], LOOK_S[0] + (now - began) / 20)
            while time.monotonic() < end:
                if stop:
                    leave(sweep, stop.exit_code)
                time.sleep(0.1)


def leave(sweep: Path, code: int) -> None:
    """Say how to look after jobs that go on, and end with an exit code."""
    print(
        f"The jobs go on by themselves. How they stand, from any machine that has this folder:\n"
        f"  {command('sweep', 'status', sweep)}\n"
        f"To end them, each with a checkpoint:\n  {cancel(submitted(sweep))}",
        flush=True,
    )
    raise Left(code)


def cancel(numbers: Iterable[str]) -> Line:
    """Return the command that ends jobs."""
    return Line(" ".join(["scancel", *numbers]))


def _of_sweep(word: str) -> bool:
    return word.startswith((GIVES_FOLDER, "hydra.mode="))


def _returned(run: Sequence[str], jobs: Sequence[Job], logs: Path) -> JobReturn:
    """Return what Hydra is told of a run: how it ended, its folder says, unless it has none."""
    done = JobReturn()
    done.status, done.return_value = JobStatus.COMPLETED, None
    mine = (job for job in jobs if set(job.words) <= set(run))
    job = max(mine, key=lambda job: len(job.words), default=None)  # a key may have been added
    if job is not None and job.state in LOST:
        done.status = JobStatus.FAILED
        done.return_value = SnnrunError(f"it has not come to its end; the logs are in {logs}")
    return done
