"""Running a command as a Hydra application, and carrying out one of its jobs."""

from __future__ import annotations

import io
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnrun.cli import USER_ERROR, announce, find_users_modules, show, wants_traceback
from snnrun.commands.arguments import check, split
from snnrun.commands.compose import composed, refused_in_our_words
from snnrun.commands.setting import explained, origin_of, settle_in_place, words_of
from snnrun.config import Config, conf_dir, validate
from snnrun.errors import ConfigError, SnnrunError
from snnrun.presets import Setting

if TYPE_CHECKING:
    from omegaconf import DictConfig, ListConfig

PRINTING = ("--cfg", "--info", "--hydra-help", "--shell-completion", "--version")
NOWHERE = ("hydra.job_logging.root.handlers=[]",)  # writes nothing
NO_SLURM = (
    "hydra/launcher=submitit_slurm: there is no srun here, Slurm's command. Start it on a machine "
    "of the cluster, or run the jobs here with hydra/launcher=joblib or submitit_local"
)
_stopped: list[bool] = []  # of a process that joblib has started: whether it was asked to stop


def run_hydra(
    task: Callable[[DictConfig], Any], arguments: Sequence[str], settings: Sequence[str] = ()
) -> int:
    """Let Hydra compose the configuration that ``arguments`` ask for, and run ``task`` with it.

    Args:
        task: A function of a module, so that launchers can find it from other processes.
        arguments: The command line after the subcommand.
        settings: Overrides of the command itself, which those of the user win over.

    Raises:
        ConfigError: What Hydra refuses, in its words but without its traceback.
    """
    line = split(arguments)
    overrides = line.overrides
    if "--shell-completion" not in line.options:
        overrides = [*settings, *check(line)]
    if not line.options.keys() & set(PRINTING):
        announce(task.__module__.rpartition(".")[2], arguments)
    if "--cfg" in line.options:  # prints what Hydra composes; a job settles it first
        overrides += words_of(*composed(line))
    saved = sys.argv
    sys.argv = [saved[0], *line.option_words(), *overrides]
    printed = io.StringIO()  # so that a pipe that is closed meets our print, not Hydra's
    try:
        if any(option in line.options for option in PRINTING):
            with redirect_stdout(printed):
                _hydra_main(task)
        else:
            from snnrun.commands.sweep import whole_sweep  # imports Hydra

            with whole_sweep(task.__module__.rpartition(".")[2], arguments):
                _hydra_main(task)
    finally:
        sys.argv = saved
        print(printed.getvalue(), end="")
    return 0


def carry_out(
    cfg: DictConfig,
    work: Callable[[Config, Path, Setting], Any],
    check: Callable[[DictConfig], Config] = validate,
) -> Any:
    """Check the configuration of one job and do its work, in the run folder that Hydra made.

    ``check`` returns the checked configuration, or raises a ConfigError. ``work`` is also given
    where its values are from. In a multirun the message of a job that fails is shown at once, and
    the other jobs run. Hydra itself writes nothing to the folder (conf/config.yaml): it would do so
    before anything is checked, and over the configuration of a run that is there; ``work`` calls
    ``save_composed``.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    if _stopped:  # this process was asked to stop in its job before
        _leave_no_trace(folder)
        return None
    find_users_modules(hydra.runtime.cwd)  # a launcher may have started this process
    many = hydra.mode == RunMode.MULTIRUN
    try:
        config, setting = _checked(cfg, folder, many, check)
        if not config.WRITE_TO_DISK:
            _leave_no_trace(folder)
        return work(config, folder, setting)
    except SystemExit:
        if many and str(hydra.launcher.get("_target_", "")).endswith("JoblibLauncher"):
            _stopped.append(True)  # an exception would end the processes of the other jobs
            return None
        raise
    except SnnrunError as error:
        if many:
            _note_refusal(folder, error)
            show(error, f"job {hydra.job.num} ({hydra.job.override_dirname})")
            raise
        if wants_traceback():
            raise
        show(error)
        raise SystemExit(USER_ERROR) from error  # an exception would add a line of Hydra's


def _note_refusal(folder: Path, error: SnnrunError) -> None:
    """Note in the run folder why its job was refused, unless the run itself has noted it."""
    from snnrun.record.ending import End, write_end
    from snnrun.record.paths import RunPaths

    paths = RunPaths(folder)
    there = (paths.end, paths.run, paths.last, paths.pid)  # of a run that has nothing to do with it
    if not folder.is_dir() or any(path.exists() for path in there):
        return
    write_end(paths, End("refused", str(error)))
    with suppress(OSError), paths.log.open("a", encoding="utf-8", errors="backslashreplace") as log:
        log.write(f"error: {error}\n")


def save_config(cfg: DictConfig | ListConfig, path: Path) -> None:
    """Write a configuration to the run folder, whole or not at all."""
    from omegaconf import OmegaConf

    from snnrun.record.atomic import atomic_file

    with atomic_file(path) as file:
        file.write(OmegaConf.to_yaml(cfg).encode())


def save_composed(cfg: DictConfig, folder: Path, seed: int | None = None) -> None:
    """Write what was composed for this job, and how, to its run folder.

    Args:
        cfg: The configuration.
        folder: The run folder.
        seed: The MODEL_SEED that was drawn where ``cfg`` has null.

    Raises:
        RecordError: The folder cannot be written.
    """
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    from snnrun.record.atomic import write_error
    from snnrun.record.paths import RunPaths

    paths = RunPaths(folder)
    try:
        paths.hydra.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(paths.hydra, error) from error
    if seed is not None and cfg.get("MODEL_SEED") != seed:
        OmegaConf.update(cfg, "MODEL_SEED", seed, force_add=True)
    hydra: Any = HydraConfig.instance().cfg
    save_config(cfg, paths.config)
    save_config(hydra, paths.hydra / "hydra.yaml")
    save_config(hydra.hydra.overrides.task, paths.overrides)  # last: now the run has begun


def _checked(
    cfg: DictConfig, folder: Path, keep: bool, check: Callable[[DictConfig], Config]
) -> tuple[Config, Setting]:
    """Return the checked configuration, and where its values are from.

    Of a refused one ``keep`` what was composed.
    """
    from hydra.core.hydra_config import HydraConfig

    from snnrun.record.paths import RunPaths, remove_empty

    origin = origin_of(HydraConfig.get())
    setting = settle_in_place(cfg, origin)
    try:
        return check(cfg), setting
    except ConfigError as error:
        if keep and not RunPaths(folder).config.exists():
            save_composed(cfg, folder)
        elif folder != Path.cwd():
            remove_empty(folder)
        raise explained(error, setting, origin) from None


def _leave_no_trace(run: Path) -> None:
    """Remove the folder that Hydra made for a run, if it is empty, and log nothing."""
    from snnrun.record.paths import remove_empty

    if run == Path.cwd():
        return
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, logging.FileHandler) and run in Path(handler.baseFilename).parents:
            root.removeHandler(handler)
            handler.close()
    remove_empty(run)


def _hydra_main(task: Callable[[DictConfig], Any]) -> None:
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises errors instead of printing tracebacks
    import hydra

    from snnrun.commands.hydra_setup import main_options

    decorate = hydra.main(**main_options(), config_path=str(conf_dir()), config_name="config")
    try:
        with refused_in_our_words():
            decorate(task)()
    except RuntimeError as error:
        if '"srun"' not in str(error) or _within_job(error):  # submitit's
            raise
        raise ConfigError(NO_SLURM) from error
    except OSError as error:
        if _within_job(error) or isinstance(error, BlockingIOError):  # no more processes
            raise
        raise ConfigError(f"the run folder cannot be made: {error}; OUT_DIR says where") from error


def _within_job(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return any(frame.name == carry_out.__name__ for frame in frames)
