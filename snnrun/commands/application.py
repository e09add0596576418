"""Commands that take a whole configuration: composed by Hydra and checked, and then carried out.

Of a single run everything is checked before there is a folder. Hydra itself runs the jobs of a
multirun, each of which checks its own configuration.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, redirect_stdout, suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, run_job
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from snnrun.commands.arguments import ONE_OF, CommandLine, check, parse, split
from snnrun.commands.compose import (
    IS_1_3,
    VERSION,
    Origin,
    compose_words,
    composed,
    explained,
    refused_in_our_words,
    settled,
    words_of,
)
from snnrun.commands.orphans import ending_with_parent
from snnrun.config import Config, conf_dir, validate, words_in
from snnrun.console import (
    USER_ERROR,
    announce,
    find_users_modules,
    output_to,
    show,
    wants_traceback,
)
from snnrun.errors import ConfigError, SnnrunError
from snnrun.presets import Setting

PRINTING = {"--cfg", "--info", "--hydra-help", "--shell-completion", "--version"}
NO_FOLDER = "the run folder cannot be made"
NO_SLURM = (
    "hydra/launcher=submitit_slurm: there is no srun here, Slurm's command. Start it on a machine "
    "of the cluster, or run the jobs here with hydra/launcher=joblib or submitit_local"
)
# From 1.4 on Hydra wants a list of what a configuration may import. Ours names neurons, losses and
# data sets of the user's own, so there is nothing to keep out.
WHITELIST: Mapping[str, Any] = (
    {}
    if IS_1_3
    else {"execution_whitelist": import_module("hydra.utils").UNSAFE_DISABLE_EXECUTION_CHECKS}
)
OPTIONS: Mapping[str, Any] = {**VERSION, **WHITELIST}
_stopped: list[bool] = []  # of a process that joblib has started: whether it was asked to stop


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a command is to do once: a configuration that is right, and where it is from."""

    cfg: DictConfig  # as it was composed
    config: Config
    setting: Setting
    folder: Path = Path()  # the run folder


def save(cfg: DictConfig, folder: Path, seed: int | None = None) -> None:
    """Write what was composed for a job, and how, to its run folder.

    ``seed`` is the MODEL_SEED that was drawn where ``cfg`` has null.
    """
    from snnrun.record.paths import RunPaths
    from snnrun.record.saved import save_composed

    if seed is not None and cfg.get("MODEL_SEED") != seed:
        OmegaConf.update(cfg, "MODEL_SEED", seed, force_add=True)
    own: Any = HydraConfig.instance().cfg
    save_composed(RunPaths(folder), cfg, words_in(own.hydra.overrides.task), own)


@dataclass(frozen=True, kw_only=True)
class Application:
    """A command as Hydra runs it: itself the task, which launchers take to other processes.

    Args:
        name: Of the command.
        work: What it does; what this returns is what sweepers optimise.
        check: Returns the checked configuration of what was composed.
        settings: Overrides of the command itself, which those of the user win over.
        writes: Whether it has a run folder, unless WRITE_TO_DISK is false.
    """

    name: str
    work: Callable[[Job], Any]
    check: Callable[[DictConfig, Origin], Config] = lambda cfg, _: validate(cfg)
    settings: Sequence[str] = ()
    writes: bool = True

    def run(self, arguments: Sequence[str]) -> int:
        """Carry out a command line, without the subcommand.

        Raises:
            ConfigError: What Hydra refuses, in its words but without its traceback.
        """
        line = split(arguments)
        if line.options.keys() & PRINTING:
            self._print(line)
            return 0
        logging.raiseExceptions = False  # of a full disk, tracebacks: what else is written tells it
        overrides = [*self.settings, *check(line)]
        announce(self.name, arguments)
        if _asks_for_many(line, overrides) or not self._run_once(line, overrides):
            from snnrun.commands.multirun import whole_sweep  # with HDF5, after the first line

            with whole_sweep(self.name, arguments):
                self._through_hydra(line, overrides)
        return 0

    def __call__(self, cfg: DictConfig) -> Any:
        """Carry out one job of a multirun, in the folder that Hydra made for it.

        Who has started the multirun shows by the folder how the job goes on, and what it prints
        goes to its log. Of a job without a folder all is shown here. The others run if it fails.
        """
        own = HydraConfig.get()
        folder = Path(own.runtime.output_dir)
        find_users_modules(own.runtime.cwd)  # a launcher may have started this process
        from snnrun.record.paths import RunPaths

        of_joblib = str(own.launcher.get("_target_", "")).endswith("JoblibLauncher")
        watched = self.name == "train" and cfg.get("WRITE_TO_DISK", True)
        with (
            ending_with_parent() if of_joblib else nullcontext(True) as may_begin,
            output_to(RunPaths(folder).log) if watched else nullcontext(),
        ):
            if _stopped or not may_begin:  # this process was asked to stop in its job before
                with suppress(OSError):  # the folder of a job that goes on
                    folder.rmdir()
                return None
            return self._job_of_many(cfg, own, folder, watched)

    def _job_of_many(self, cfg: DictConfig, own: Any, folder: Path, watched: bool) -> Any:
        try:
            job = self._job(cfg, Origin.of(own), folder)
            if self.writes and job.config.WRITE_TO_DISK:
                return self.work(job)
            return self._unkept(job)
        except SystemExit:
            if str(own.launcher.get("_target_", "")).endswith("JoblibLauncher"):
                _stopped.append(True)  # an exception would end the processes of the other jobs
                return None
            raise
        except SnnrunError as error:
            _note_refusal(folder, error)
            if not watched:
                show(error, f"job {own.job.num} ({','.join(words_in(own.overrides.task))})")
            raise

    def run_of_sweep(
        self,
        overrides: Sequence[str],
        *,
        folders: Sequence[Path],
        config_name: str,
        number: int,
        before: Callable[[Path], object] = lambda folder: None,
    ) -> JobReturn:
        """Carry out one job of a multirun by itself, in its folder of the sweep.

        Args:
            overrides: All of it; ``hydra.sweep.dir`` says where.
            folders: Of the user's configuration files.
            config_name: Of the first file.
            number: Of the job.
            before: Called with the run folder.
        """
        cfg = compose_words(overrides, folders, name=config_name)
        with open_dict(cfg):
            cfg.hydra.mode = RunMode.MULTIRUN
            cfg.hydra.job.id = cfg.hydra.job.num = number
        before(Path(cfg.hydra.sweep.dir) / str(cfg.hydra.sweep.subdir))
        return run_job(
            task_function=self,
            config=cfg,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            hydra_context=_context(Callbacks(cfg)),
        )

    def _run_once(self, line: CommandLine, overrides: Sequence[str]) -> bool:
        """Carry out a single run; return False where a file of the user's asks for a multirun."""
        cfg = compose_words(
            overrides,
            line.own_folders(),
            line.options.get("--config-path"),
            line.options.get("--config-name", "config"),
        )
        if cfg.hydra.mode == RunMode.MULTIRUN:
            return False
        job = self._job(cfg, Origin.of(cfg.hydra))
        with open_dict(cfg):
            cfg.hydra.mode = RunMode.RUN
            if not (self.writes and job.config.WRITE_TO_DISK):
                cfg.hydra.run.dir = "."
                cfg.hydra.job_logging.root.handlers = []

        def task(_: DictConfig) -> Any:
            try:
                return self.work(replace(job, folder=Path(HydraConfig.get().runtime.output_dir)))
            except SnnrunError as error:
                if wants_traceback():
                    raise
                show(error)
                raise SystemExit(USER_ERROR) from error  # an exception would add a line of Hydra's

        try:
            with refused_in_our_words():
                done = hydra.main(config_path=None, **OPTIONS)(partial(_run_job, task))(cfg)
        except OSError as error:  # those of the task are in what it returns
            raise ConfigError(f"{NO_FOLDER}: {error}; OUT_DIR says where") from error
        _ = done.return_value  # raises what the task did
        return True

    def _job(self, cfg: DictConfig, origin: Origin, folder: Path | None = None) -> Job:
        """Return what is to be done with what was composed; a refused one is kept in ``folder``."""
        own, setting = settled(cfg, origin)
        try:
            return Job(
                cfg=own, config=self.check(own, origin), setting=setting, folder=folder or Path()
            )
        except ConfigError as error:
            if folder and not (folder / ".hydra").exists():
                save(own, folder)
            raise explained(error, setting, origin.table) from None

    def _unkept(self, job: Job) -> Any:
        """Carry out a job of a multirun of which nothing is kept, and remove its folder."""
        root = logging.getLogger()
        root.handlers = [h for h in root.handlers if not isinstance(h, logging.FileHandler)]
        try:
            return self.work(job)
        finally:
            with suppress(OSError):  # it holds something else
                job.folder.rmdir()

    def _through_hydra(self, line: CommandLine, overrides: Sequence[str]) -> None:
        """Let Hydra's own application do what a command line asks for."""
        saved = sys.argv
        many = ["--multirun"] * (line.searches and not line.options.keys() & set(ONE_OF))
        sys.argv = [saved[0], *line.option_words(), *many, *overrides]
        os.environ["HYDRA_FULL_ERROR"] = "1"  # it then raises errors, and prints no tracebacks
        decorate = hydra.main(config_path=str(conf_dir()), config_name="config", **OPTIONS)
        try:
            with refused_in_our_words():
                decorate(self)()
        except OSError as error:
            frames = [(f.filename, f.name) for f in traceback.extract_tb(error.__traceback__)]
            if (__file__, "__call__") in frames or isinstance(
                error, BlockingIOError
            ):  # no more processes
                raise
            raise ConfigError(f"{NO_FOLDER}: {error}; OUT_DIR says where") from error
        except RuntimeError as error:
            if '"srun"' not in str(error):  # submitit's
                raise
            raise ConfigError(NO_SLURM) from error
        finally:
            sys.argv = saved

    def _print(self, line: CommandLine) -> None:
        """Let Hydra print what an option asks for; of a configuration, the one that would run."""
        completes = "--shell-completion" in line.options
        overrides = line.overrides if completes else [*self.settings, *check(line)]
        if "--cfg" in line.options:
            overrides += words_of(*composed(line))
        printed = io.StringIO()  # so that a pipe that is closed meets our print, not Hydra's
        try:
            with redirect_stdout(printed):
                self._through_hydra(line, overrides)
        finally:
            print(printed.getvalue(), end="")


def _run_job(task: Callable[[DictConfig], Any], cfg: DictConfig) -> JobReturn:
    """Run one job as Hydra's application does, from a configuration that is composed already."""
    callbacks, name = Callbacks(cfg), cfg.hydra.job.config_name
    callbacks.on_run_start(config=cfg, config_name=name)
    done = run_job(
        task_function=task,
        config=cfg,
        job_dir_key="hydra.run.dir",
        job_subdir_key=None,
        hydra_context=_context(callbacks),
    )
    callbacks.on_run_end(config=cfg, config_name=name, job_return=done)
    return done


def _context(callbacks: Callbacks) -> HydraContext:
    nobody: Any = None  # composes further jobs, which there are not
    return HydraContext(config_loader=nobody, callbacks=callbacks, **WHITELIST)


def _asks_for_many(line: CommandLine, overrides: Sequence[str]) -> bool:
    """Return whether Hydra is to find the jobs: values of several runs, or a run of its own."""
    many = any(override.is_sweep_override() for override in parse(overrides))
    return many or line.sweeps or "--experimental-rerun" in line.options


def _note_refusal(folder: Path, error: SnnrunError) -> None:
    """Note in the run folder why its job was refused, unless the run itself has noted it."""
    from snnrun.record.ending import End, read_end, write_end
    from snnrun.record.paths import RunPaths

    paths = RunPaths(folder)
    there = (paths.run, paths.last, paths.pid)  # of a run that has nothing to do with it
    ended = paths.end.exists() and read_end(paths, finished=False).state != "refused"
    if not folder.is_dir() or ended or any(path.exists() for path in there):
        return
    write_end(paths, End("refused", str(error)))
    with suppress(OSError), paths.log.open("a", encoding="utf-8", errors="backslashreplace") as log:
        log.write(f"error: {error}\n")
