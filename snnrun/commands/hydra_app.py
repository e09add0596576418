"""Running a command as a Hydra application, and carrying out one of its jobs."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnrun.cli import USER_ERROR, find_users_modules, show, wants_traceback
from snnrun.commands.arguments import check, split
from snnrun.config import Config, conf_dir, validate
from snnrun.errors import ConfigError, SnnrunError

if TYPE_CHECKING:
    from omegaconf import DictConfig, ListConfig

PRINTING = ("--cfg", "--info", "--hydra-help", "--shell-completion", "--version")
NOWHERE = ("hydra.output_subdir=null", "hydra.job_logging.root.handlers=[]")  # writes nothing
HYDRA_FILES = ("config.yaml", "hydra.yaml", "overrides.yaml")
_NO_ENTRY = re.compile(
    r"Error merging override \+*(?P<override>(?P<key>[\w.]+?)\.\d+[.=].*)\nlist index out of range"
)


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
    saved = sys.argv
    sys.argv = [saved[0], *line.option_words(), *overrides]
    printed = io.StringIO()  # so that a pipe that is closed meets our print, not Hydra's
    try:
        if any(option in line.options for option in PRINTING):
            with redirect_stdout(printed):
                _hydra_main(task)
        else:
            from snnrun.commands.sweep import leaving_no_empty_sweep  # imports Hydra

            with leaving_no_empty_sweep():
                _hydra_main(task)
    finally:
        sys.argv = saved
        print(printed.getvalue(), end="")
    return 0


def carry_out(
    cfg: DictConfig,
    work: Callable[[Config, Path], Any],
    check: Callable[[DictConfig], Config] = validate,
) -> Any:
    """Check the configuration of one job and do its work, in the run folder that Hydra made.

    ``check`` returns the checked configuration, or raises a ConfigError. In a multirun the message
    of a job that fails is shown at once, and the other jobs run.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    find_users_modules(hydra.runtime.cwd)  # a launcher may have started this process
    many = hydra.mode == RunMode.MULTIRUN
    try:
        composed = folder / hydra.output_subdir if hydra.output_subdir else None
        config = _checked(cfg, composed, many, check)
        if not config.WRITE_TO_DISK:
            _leave_no_trace(folder, composed)
        return work(config, folder)
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
    if not folder.is_dir() or paths.end.exists() or paths.run.exists():
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


def _checked(
    cfg: DictConfig, composed: Path | None, keep: bool, check: Callable[[DictConfig], Config]
) -> Config:
    """Return the checked configuration, and keep the seed that a null stands for.

    ``composed`` is the folder to which Hydra wrote the configuration, if it did.
    """
    try:
        config = check(cfg)
    except ConfigError:
        if composed is not None and not keep:
            _forget(composed)
        raise
    if not config.WRITE_TO_DISK:
        return config
    if composed is not None and cfg.get("MODEL_SEED") != config.MODEL_SEED:
        from omegaconf import OmegaConf

        OmegaConf.update(cfg, "MODEL_SEED", config.MODEL_SEED, force_add=True)
        save_config(cfg, composed / "config.yaml")
    return config


def _leave_no_trace(run: Path, composed: Path | None) -> None:
    """Remove the folder that Hydra made for a run, if it holds nothing else, and log nothing."""
    if run == Path.cwd():
        return
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, logging.FileHandler) and run in Path(handler.baseFilename).parents:
            root.removeHandler(handler)
            handler.close()
    if composed is not None and composed.is_dir():
        _forget(composed)
    else:
        with suppress(OSError):  # not empty
            run.rmdir()


def _forget(composed: Path) -> None:
    """Remove a run folder of a refused configuration, if nothing but Hydra's files is in it."""
    from snnrun.record.paths import remove_empty

    run = composed.parent
    written = {path.name for path in composed.iterdir()}
    if written != set(HYDRA_FILES) or list(run.iterdir()) != [composed]:
        return
    for name in HYDRA_FILES:
        (composed / name).unlink()
    composed.rmdir()
    remove_empty(run)


def _hydra_main(task: Callable[[DictConfig], Any]) -> None:
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises errors instead of printing tracebacks
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError  # type: ignore[import-untyped]

    import snnrun.commands.resolvers  # noqa: F401  registers what conf/config.yaml asks for

    decorate = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")
    try:
        decorate(task)()
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise ConfigError(_in_one(error)) from error
    except OSError as error:
        if _within_job(error):
            raise
        raise ConfigError(f"the run folder cannot be made: {error}; OUT_DIR says where") from error


def _in_one(error: BaseException) -> str:
    """Return an error of Hydra's with its cause, or our own words where Hydra has none."""
    cause = f"\n{error.__cause__}" if error.__cause__ is not None else ""
    text = f"{error}{cause}".strip()
    beyond = _NO_ENTRY.match(text)
    if beyond is None:
        return text
    return (
        f"{beyond['override']}: the list that is chosen has no such entry; give it whole, as in "
        f"'{beyond['key']}=[...]', or choose a file that has this entry"
    )


def _within_job(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return any(frame.name == carry_out.__name__ for frame in frames)
