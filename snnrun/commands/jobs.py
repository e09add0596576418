"""The jobs of a multirun: every combination of values, and which of them are still to be run."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from snnrun.commands.compose import without_hydra
from snnrun.config import differences, flat, words_in
from snnrun.errors import RecordError
from snnrun.keys.kinds import shown
from snnrun.schema import BASE, DATASETS, SCHEMA
from snnrun.shell import command
from snnrun.sweeps.asked import Asked, AskedJob, key_of
from snnrun.sweeps.sweep import FAILED, OPEN, Sweep, read_sweep

GRID = ("Grid", "BasicSweeper")  # the classes of sweepers that run every combination
NUMBERED = "${hydra.job.num}"  # the folder of a job, if nobody has asked for another
SUBDIR = "hydra.sweep.subdir="
GIVES_FOLDER = "hydra.sweep.dir="


def asked_of(config: Any, name: str, words: Sequence[str]) -> Asked:
    """Return what is asked by a multirun, of whose start Hydra has told.

    Args:
        config: As Hydra has composed it, with its own node.
        name: Of the command.
        words: What the command was given.
    """
    own = config.hydra
    params = [f"{key}={value}" for key, value in (own.sweeper.get("params") or {}).items()]
    read = values_of([*params, *words_in(own.overrides.task)])
    grid = str(own.sweeper.get("_target_", "")).endswith(GRID)
    swept = [words for words in read.values() if len(words) > 1]
    named = numbers_name_folders(config)
    return Asked(
        command=name,
        words=tuple(words),
        base=tuple(words[0] for words in read.values() if len(words) == 1),
        config=flat(without_hydra(config)),
        jobs=tuple(
            AskedJob(number=number, words=job, folder=str(number) if named else "")
            for number, job in enumerate(itertools.product(*swept) if grid else ())
        ),
    )


def values_of(words: Iterable[str]) -> dict[str, list[str]]:
    """Return key -> KEY=VALUE for each value of overrides, in their order; mostly there is one.

    An interval, in which a search draws, has none.
    """
    hydra = GlobalHydra.instance()
    loader = hydra.config_loader() if hydra.is_initialized() else None
    found: dict[str, list[str]] = {}
    parser = OverridesParser.create(config_loader=loader)
    for override in parser.parse_overrides(list(map(str, words))):
        key = override.get_key_element()
        if override.is_discrete_sweep():
            found[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        elif override.is_sweep_override():  # an interval, of a search
            found[key] = []
        else:
            found[key] = [f"{key}={_text_of(override)}"]
    return found


def _text_of(override: Any) -> str:
    """Return the value of an override such that Hydra reads it again."""
    value = override.value()
    if isinstance(value, str) and "${" in value:  # of which it would escape the braces
        return str(override.input_line).partition("=")[2]
    return str(override.get_value_element_as_str())


def enter(folder: Path, asked: Asked) -> Asked | None:
    """Return what a command asks of a sweep that is there already; None if that is nothing new.

    Jobs that the sweep has are left out, and new ones get the next numbers. A key that differs
    between its jobs may now have one value.

    Raises:
        RecordError: The folder holds a sweep with another configuration.
    """
    sweep = read_sweep(folder)
    if not sweep.asked:
        return asked
    swept = {key for job in sweep.jobs for key in job.overrides}
    refuse_changed(sweep, asked.config, swept)
    one = tuple(word for word in asked.base if key_of(word) in swept)
    keys = swept | {key for job in asked.jobs for key in job.overrides}
    there = {  # what was of all jobs at first may differ since
        frozenset((key, value) for key, value in job.settings.items() if key in keys)
        for job in sweep.jobs
    }
    jobs = [replace(job, words=(*job.words, *one)) for job in asked.jobs]
    new = [job for job in jobs if frozenset(job.overrides.items()) not in there]
    if not new:
        return None
    base = tuple(word for word in asked.base if word not in one)
    return replace(asked, base=base, jobs=numbered(new, sweep))


def numbered(jobs: Sequence[AskedJob], sweep: Sweep) -> tuple[AskedJob, ...]:
    """Return jobs with the numbers that follow those of a sweep."""
    first = max((job.number for job in sweep.jobs), default=-1) + 1
    return tuple(
        AskedJob(number=number, words=job.words, folder=str(number) if job.folder else "")
        for number, job in enumerate(jobs, first)
    )


def refuse_changed(sweep: Sweep, now: Mapping[str, Any], swept: Collection[str]) -> None:
    """Raise RecordError if the jobs of a sweep would now be composed of other values.

    Args:
        sweep: As it is.
        now: Key -> value of what its jobs would have in common.
        swept: Keys whose values are the jobs' own.
    """
    there = next((asked.config for asked in sweep.asked if asked.config), now)
    lines = [
        f"  {key}: {difference}"
        for key, difference in differences(there, now).items()
        if key not in swept and not (key not in there and _has_its_default(key, now))
    ]
    if lines:
        raise RecordError(
            "\n".join(
                [
                    f"{sweep.folder}: holds a sweep already, with another configuration:",
                    *lines,
                    "Nothing was changed. Undo this, or choose another folder; further values are "
                    f"added with `{command('sweep', 'add', sweep.folder, 'KEY=VALUE,VALUE')}`",
                ]
            )
        )


def _has_its_default(key: str, values: Mapping[str, Any]) -> bool:
    if key not in SCHEMA:
        return False
    name = values.get("dataset.name", "")
    return shown(values[key]) == shown(SCHEMA[key].default_of(name if name in DATASETS else BASE))


def to_run(folder: Path, failed: bool) -> list[AskedJob]:
    """Return the jobs of a sweep that are to be run: not those that are finished or at work.

    Args:
        folder: Of the sweep.
        failed: Those that failed too.
    """
    left = (*OPEN, *(FAILED if failed else ()))
    sweep = read_sweep(folder)
    states = {job.number: job.state for job in sweep.jobs}
    asked = (job for request in sweep.asked for job in request.jobs)
    return [job for job in asked if states[job.number] in left]


def words_of(values: Iterable[str], job: AskedJob, base: Iterable[str]) -> list[str]:
    """Return the overrides of a job: its own, and others of the ``base`` of its request.

    They are in the order of ``values``, the keys of the command.
    """
    told = {key_of(word): word for word in (*base, *job.words)}
    keys = dict.fromkeys((*map(key_of, values), *told))
    return [told[key] for key in keys if key in told]


def in_its_folder(words: Sequence[str], job: AskedJob) -> list[str]:
    """Return the overrides of a job whose number is not the one that Hydra gives it."""
    return [*words, f"{SUBDIR}{job.folder}"] if job.folder else list(words)


def numbers_name_folders(config: Any) -> bool:
    """Return whether the folder of a job is called as its number."""
    sweep: Any = OmegaConf.to_container(config.hydra.sweep, resolve=False)
    return bool(sweep["subdir"] == NUMBERED)
