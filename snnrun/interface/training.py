"""Training and resuming from Python: `snnrun train` and `resume` as functions."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from snnrun.commands.arguments import CommandLine
from snnrun.commands.compose import composed, explained, settle, without_hydra
from snnrun.commands.saved_run import going_on, log_to, nothing_left, run_folder, setting_of
from snnrun.commands.saved_run import load as load_saved
from snnrun.config import Config, flat, validate
from snnrun.console import brief, find_users_modules
from snnrun.errors import ConfigError
from snnrun.interface.keys import as_overrides, native
from snnrun.interface.ranks import shared
from snnrun.interruption import Interrupted
from snnrun.keys.kinds import plain as plain_value
from snnrun.presets import NONE, UNKNOWN, Setting
from snnrun.record.owner import refuse_old_run
from snnrun.record.paths import RunPaths
from snnrun.record.reader import Run, hold, load_run
from snnrun.record.saved import save_composed
from snnrun.record.scratch import scratch
from snnrun.run import train_in
from snnrun.schema import ALIASES, GROUP_NAMES
from snnrun.schema.checks import EPOCH_TRIAL_KEYS
from snnrun.training.early import OnEpoch


@brief
@shared
def train(
    config: Config | Mapping[str, Any],
    folder: str | Path | None = None,
    *,
    progress: bool = True,
    on_epoch: OnEpoch | None = None,
) -> Run:
    """Train as `snnrun train` does, and return what was recorded.

    With WRITE_TO_DISK false nothing is kept on disk, and the recordings are held in memory. A run
    that TIME_LIMIT stops is returned as far as it came: ``finished`` is empty, and ``resume`` goes
    on with it.

    Args:
        config: A checked configuration, or keys and their values, as in ``{"dataset": "yinyang",
            "N_EPOCH": 3}``. Groups are given by the names of their choices (``"preset":
            "yinyang_wp2021"``) or as a mapping of their options (``"backend": {"threads": 1}``).
            Without a preset the recommended one of the data set is taken, if it has one; with
            ``"preset": "none"``, what is not given has the value of the table.
        folder: The run folder; OUT_DIR/outputs/<date>/<time> if not given. `snnrun resume` and
            `snnrun test` take it like any other.
        progress: Show on standard output what the command shows. run.log has it in any case.
        on_epoch: Called after each epoch with its figures, the columns of ``Run.epochs``; where it
            returns True the training ends with this epoch, and the run is tested and finished.

    Raises:
        SnnrunError: Anything that the user can put right; ConfigError before anything is built.
        KeyboardInterrupt: Ctrl-C. There is a checkpoint, and the message says how to go on.
        SystemExit: The run was stopped by another signal; its checkpoint is written.
    """
    find_users_modules(os.getcwd())
    source, setting = (config, UNKNOWN) if isinstance(config, Config) else composed_of(config)
    checked = validate(source)
    if not checked.WRITE_TO_DISK:
        if folder is not None:
            raise ConfigError(
                f"WRITE_TO_DISK=false: the run would leave the folder {folder} empty; leave one of "
                "the two out"
            )
        with scratch() as paths:
            _train(checked, paths, progress, setting, on_epoch)
            return hold(load_run(paths.root))
    paths = RunPaths(_new_folder(checked) if folder is None else Path(folder))
    refuse_old_run(paths)
    _save(checked, source, paths, setting)
    _train(checked, paths, progress, setting, on_epoch)
    return load_run(paths.root)


@brief
@shared
def resume(
    run: Run | str | Path,
    keys: Mapping[str, Any] | None = None,
    *,
    progress: bool = True,
    on_epoch: OnEpoch | None = None,
) -> Run:
    """Go on with a run from its last checkpoint as `snnrun resume` does, and return what it is now.

    A run that has finished stays as it is, unless ``keys`` ask for a larger N_EPOCH; that is shown,
    or, where other keys were given and nothing is shown, a warning.

    Args:
        run: The run or its folder.
        keys: Keys to change, those that `snnrun resume` may change: {"N_EPOCH": 200}.
        progress: Show on standard output what the command shows.
        on_epoch: As of ``train``.

    Raises:
        SnnrunError, KeyboardInterrupt, SystemExit: As ``train``.
    """
    find_users_modules(os.getcwd())
    folder = run_folder(str(run.paths.root if isinstance(run, Run) else run))
    overrides = as_overrides(keys or {})
    if told := nothing_left(load_saved(folder, overrides, "resume", keep=False), folder):
        if progress:
            print(told)
        elif set(keys or {}) - {"N_EPOCH"}:  # or whoever gave them would take them for done
            warnings.warn(told, stacklevel=4)  # the line of the caller
        return load_run(folder)
    with going_on(folder, overrides) as config:
        log_to(folder)
        setting = setting_of(folder, config)
        _train(config, RunPaths(folder), progress, setting, on_epoch, again=True)
    return load_run(folder)


def composed_of(given: Mapping[str, Any]) -> tuple[Mapping[str, Any], Setting]:
    """Return keys and values with what the files of the named choices say of others.

    The second value says where they are from.
    """
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"{given!r}: keys and their values are given as in {{'dataset': 'shd', 'ETA': 1e-3}}"
        )
    values = {str(ALIASES.get(name, name)): native(value) for name, value in given.items()}
    named = {
        group: value
        for group in ("preset", *GROUP_NAMES)
        if isinstance(value := values.get(group), str) and "." not in value
    }
    if values.get("preset", "") is None:
        named["preset"] = NONE
    values.pop("preset", None)
    overrides = [f"{group}={name}" for group, name in named.items() if group != "dataset"]
    overrides += _dataset_override(values, named.get("preset", NONE) != NONE)
    cfg, origin = composed(CommandLine(options={}, overrides=overrides))

    def table() -> dict[str, Any]:
        return _merged(origin.table(), values, named)

    found, setting = settle(_merged(flat(without_hydra(cfg)), values, named), origin, table)
    try:
        validate(found)
    except ConfigError as error:
        raise explained(error, setting, table) from None
    return found, setting


def _merged(
    base: Mapping[str, Any], values: Mapping[str, Any], named: Collection[str]
) -> dict[str, Any]:
    """Return what was composed with the given values, but for those that named a choice."""
    found = dict(base)
    for name, value in values.items():
        if name in GROUP_NAMES and name not in named:
            options = value if isinstance(value, Mapping) else {"name": value}
            found |= {f"{name}.{option}": item for option, item in options.items()}
        elif name not in named:
            found[name] = value
    return found


def _dataset_override(values: Mapping[str, Any], with_preset: bool) -> list[str]:
    """Return what makes Hydra compose the defaults of the data set, however it is given."""
    given = values.get("dataset", values.get("dataset.name"))
    name = given.get("name") if isinstance(given, Mapping) else given
    if not isinstance(name, str):
        return []
    if "." not in name:
        return [f"dataset={name}"]
    return [] if with_preset else ["~dataset"]  # of a user's own: the general defaults


def _new_folder(config: Config) -> Path:
    """Return the name that `snnrun train` would give a run folder now."""
    return Path(
        os.path.expanduser(config.OUT_DIR),
        "outputs",
        datetime.now().strftime("%Y-%m-%d/%H-%M-%S-%f"),
    )


def _save(
    config: Config, source: Config | Mapping[str, Any], paths: RunPaths, setting: Setting
) -> None:
    """Write the configuration so that the run can be resumed and tested."""
    # epochs that count from the end do so anew when N_EPOCH changes on resuming
    pairs = {key: plain_value(source.get(key)) for key in EPOCH_TRIAL_KEYS if key in source}
    group = "dataset" if setting.by_default else "preset"
    overrides = [] if setting.preset is None else [f"{group}={setting.preset}"]
    save_composed(paths, OmegaConf.create({**config.to_dict(), **pairs}), overrides)


def _train(
    config: Config,
    paths: RunPaths,
    progress: bool,
    setting: Setting,
    on_epoch: OnEpoch | None,
    again: bool = False,
) -> None:
    try:
        train_in(config, paths, again, progress=progress, setting=setting, on_epoch=on_epoch)
    except Interrupted as stopped:
        if stopped.time_is_up:
            return
        if stopped.code != 128 + signal.SIGINT:
            raise
        raise KeyboardInterrupt(f"stopped {stopped.how_to_go_on}") from None
