"""`snnrun crossval`: train once for each speaker left out, and tabulate how well it went."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnrun.commands.arguments import path_of
from snnrun.config import Config, validate
from snnrun.errors import CheckpointError, ConfigError, either
from snnrun.keys.files import having
from snnrun.schema import BASE, DATASETS, SCHEMA
from snnrun.shell import command

if TYPE_CHECKING:
    from omegaconf import DictConfig, ListConfig

    from snnrun.commands.application import Job
    from snnrun.commands.compose import Origin

HELP = """\
usage: snnrun crossval [KEY=VALUE ...] [GROUP=CHOICE ...] [options]
       snnrun crossval FOLDER

Cross-validates by speakers: trains one new network for each entry of SPEAKER_LEFT (null, the
default: each speaker of the training data), validated on the examples of that speaker and trained
on those of all others. Each is a run of its own in a folder below outputs/crossval/<date>/<time>/,
where crossval.csv holds the accuracies, their mean and their sample standard deviation. All start
from the same weights (MODEL_SEED). The result is the accuracy after the last epoch; that of the
best epoch is shown too, but is chosen on the very speaker that it reports.

Ctrl-C stops it; with its FOLDER it goes on: runs that are finished are not run again.

Takes the same keys, groups and options as `snnrun train`. Where they are not given, N_TRAIN is null
(all examples of the other speakers), and N_TEST is 0, as the test data have no part in a choice.

examples:
  snnrun crossval dataset=shd network=recurrent
  snnrun crossval preset=shd_plain 'SPEAKER_LEFT=[0,4]' N_EPOCH=20
  snnrun crossval outputs/crossval/2026-11-24/18-03-12-123456
"""

WITH_SPEAKERS = having("SPEAKER_LEFT")  # of the built-in data sets; in dvs they are its users
SETTINGS = (
    "hydra.run.dir='${home:${OUT_DIR}}/outputs/crossval/${now:%Y-%m-%d}/${now:%H-%M-%S-%f}'",
    "EVALUATION=speaker",
    "SPEAKER_LEFT=null",
    "N_TRAIN=null",
    "N_TEST=0",
)


def run(arguments: Sequence[str]) -> int:
    if arguments and _names_folder(arguments):
        return _go_on(path_of(arguments[0]), arguments[1:])
    for word in arguments:
        if word.startswith("EVALUATION=") and word != "EVALUATION=speaker":
            raise ConfigError(f"{word}: snnrun crossval leaves out speakers; leave EVALUATION out")
    from snnrun.commands.application import Application

    return Application(
        name="crossval", work=_cross_validate, check=_checked, settings=SETTINGS
    ).run(arguments)


def _names_folder(arguments: Sequence[str]) -> bool:
    """Return whether a cross-validation is to go on: by one folder, which may look like a setting.

    With further arguments a word with "=" is a setting, as a folder is followed by nothing.
    """
    first, *more = arguments
    return path_of(first).is_dir() and ("=" not in first or not more)


def _checked(cfg: DictConfig, origin: Origin) -> Config:
    """Return the checked configuration, of data that have speakers to leave out."""
    from omegaconf import OmegaConf

    name = cfg.dataset.name
    if not any(word.lstrip("+").startswith("N_VALIDATE=") for word in origin.overrides):
        # a preset may say how many to choose at random; here the speakers say it
        key = SCHEMA["N_VALIDATE"]
        OmegaConf.update(cfg, key.name, key.default_of(name if name in DATASETS else BASE))
    if name in DATASETS and name not in WITH_SPEAKERS:
        raise ConfigError(
            f"dataset={name}: has no speakers, of which snnrun crossval leaves out one after the "
            f"other; use dataset={either(WITH_SPEAKERS)}, or "
            f"{command('train', f'dataset={name}')}"
        )
    return validate(cfg)


def _cross_validate(job: Job) -> Any:
    """Carry out one cross-validation; sweepers optimise the mean of the last accuracies."""

    from snnrun.commands import again
    from snnrun.crossval import cross_validate
    from snnrun.record.paths import RunPaths
    from snnrun.record.saved import load_config

    config: Config = job.config
    cfg: DictConfig | ListConfig = job.cfg
    if config.WRITE_TO_DISK:
        config, begun = again.begin(job)
        if begun:
            cfg = load_config(RunPaths(job.folder).config)
    return cross_validate(config, cfg, job.folder, job.setting)


def _go_on(folder: Path, rest: Sequence[str]) -> int:
    """Go on with the cross-validation in ``folder``."""

    from snnrun.crossval import cross_validate
    from snnrun.record.paths import RunPaths
    from snnrun.record.saved import load_config

    if rest:
        raise ConfigError(
            f"{' '.join(rest)}: a cross-validation goes on as it began; "
            f"`{command('crossval', folder)}` takes nothing else"
        )
    saved = RunPaths(folder).config
    if not saved.is_file():
        other = f". To mean the key: {command('crossval', SETTINGS[1], folder.name)}"
        raise CheckpointError(
            f"{folder}: holds no cross-validation: there is no {saved}"
            + (other if "=" in str(folder) else "")
        )
    cfg = load_config(saved)
    config = validate(cfg)
    if config.EVALUATION != "speaker" or RunPaths(folder).run.exists():
        raise CheckpointError(
            f"{folder}: holds no cross-validation, but a run; go on with "
            f"`{command('resume', folder)}`"
        )
    cross_validate(config, cfg, folder)
    return 0
