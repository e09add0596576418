"""Cross-validation by speakers: one run for each speaker left out, and a table of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from omegaconf import DictConfig, ListConfig, OmegaConf

from snnrun.config import Config, validate
from snnrun.datasets import load
from snnrun.datasets.choice import Packed, speakers_of
from snnrun.datasets.spikes import Splits
from snnrun.errors import ConfigError
from snnrun.presets import UNKNOWN, Setting
from snnrun.record.paths import FoldPaths, RunPaths
from snnrun.record.reader import load_run
from snnrun.record.saved import load_config, save_composed
from snnrun.run import train
from snnrun.shell import command
from snnrun.terminal.folds import RESULT, Fold, fold_of, mean_of, show_folds, write_folds

Read = Callable[[Config], Splits]


def cross_validate(
    config: Config, cfg: DictConfig | ListConfig, folder: Path, setting: Setting = UNKNOWN
) -> float:
    """Train a network for each entry of SPEAKER_LEFT, but for those that are finished.

    Args:
        config: The checked configuration.
        cfg: The same as it was composed, of which each run's own configuration is made.
        folder: Where the runs' folders and the table are, or will be.
        setting: Where the values are from, which each run says.

    Returns the mean over the runs of the last epoch's accuracy on the speaker left out.

    Raises:
        SnnrunError: Anything that the user can put right.
        SystemExit: A run was stopped by a signal; its checkpoint is written.
    """
    paths = FoldPaths(folder)
    if not config.WRITE_TO_DISK:
        raise ConfigError(
            "WRITE_TO_DISK=false: a cross-validation reads its table from the runs' folders"
        )
    packed: Packed = {}
    read = partial(load, packed=packed)  # the runs choose from the same data
    speakers = _speakers(config, cfg, read)
    places = range(len(speakers)) if config.SPEAKER_LEFT is None else config.SPEAKER_LEFT
    folds: list[Fold] = []
    for number, place in enumerate(places, 1):
        run = RunPaths(paths.fold(place))
        if not (run.run.exists() and load_run(run.root).finished):
            print(f"\nspeaker {speakers[place]} left out ({number} of {len(places)})", flush=True)
            go_on = partial(train, read=read, setting=setting)
            _train(_leaving_out(cfg, place), run, folder, go_on)
        folds.append(fold_of(load_run(run.root), place, int(speakers[place])))
        write_folds(folds, paths.table)
    print()
    show_folds(folds)
    print(f"{paths.table}: the same")
    return mean_of(folds, RESULT)


def _train(
    cfg: DictConfig | ListConfig, run: RunPaths, folder: Path, go_on: Callable[..., float]
) -> None:
    """Train the network of one fold, from its checkpoint if there is one."""
    if not run.overrides.exists():  # written last
        left_out = ",".join(map(str, cfg.SPEAKER_LEFT))
        save_composed(run, cfg, [f"SPEAKER_LEFT=[{left_out}]"])
    try:
        go_on(validate(load_config(run.config)), run.root, resume=True)
    except SystemExit:
        print(f"or with all of the cross-validation:\n  {command('crossval', folder)}", flush=True)
        raise


def _leaving_out(cfg: DictConfig | ListConfig, place: int) -> DictConfig | ListConfig:
    """Return a copy of ``cfg`` that leaves out one speaker."""
    copy = OmegaConf.create(OmegaConf.to_container(cfg))
    OmegaConf.update(copy, "SPEAKER_LEFT", [place])
    return copy


def _speakers(config: Config, cfg: DictConfig | ListConfig, read: Read) -> np.ndarray:
    """Return the speakers of the training data, after checking that SPEAKER_LEFT is among them."""
    last = max(config.SPEAKER_LEFT or (0,))
    return speakers_of(read(validate(_leaving_out(cfg, last))).train.data)
