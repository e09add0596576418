"""Settings of a sweep: jobs that differ by seeds only are one, with mean and spread of scores."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml  # type: ignore[import-untyped]

from snnrun.errors import ConfigError, did_you_mean
from snnrun.keys.kinds import shown
from snnrun.record.paths import RunPaths
from snnrun.record.provenance import SEEDS
from snnrun.schema import ALIASES, GROUP_NAMES, SCHEMA
from snnrun.sweeps.sweep import DONE, LOADER, Job

STATE = "state"
# What tells nothing of the result: where it lies, how it is called
ASIDE = ("OUT_DIR", "NAME", "TAGS")
SCORES = ("train", "validation", "best", "test", "test_best")  # of Job, with _score
COSTS = ("operations", "energy")  # of an example
FIGURES = (*SCORES, "seconds", "seconds_per_epoch", "memory", *COSTS)


class Figure(NamedTuple):
    """Mean and sample standard deviation over runs; NaN where there are too few."""

    mean: float
    sd: float
    n: int


@dataclass(frozen=True)
class Setting:
    """Jobs with the same values of some keys.

    Args:
        values: Key -> value as text.
        jobs: With these values, in the order of their numbers.
    """

    values: dict[str, str]
    jobs: tuple[Job, ...]

    @cached_property
    def finished(self) -> tuple[Job, ...]:
        """The jobs that its figures are of."""
        return tuple(job for job in self.jobs if job.state == DONE)

    def figure(self, name: str) -> Figure:
        """Return one of FIGURES over the finished runs; scores as shares of 1."""
        column = f"{name}_score" if name in SCORES else name
        return figure_of(getattr(job, column) for job in self.finished)


def figure_of(values: Iterable[float]) -> Figure:
    """Return mean and deviation of the values that are finite."""
    found = [value for value in values if math.isfinite(value)]
    mean = float(np.mean(found)) if found else math.nan
    sd = float(np.std(found, ddof=1)) if len(found) > 1 else math.nan
    return Figure(mean, sd, len(found))


def value_of(job: Job, key: str) -> str:
    """Return the value of a key, as text: as given, or else as the configuration of the run has it.

    "" where neither has one.
    """
    if key == STATE:
        return job.state
    return plain(job.settings[key]) if key in job.settings else _composed(job, key)


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """Return a value such that equal numbers are equal texts: 1e-3 and 0.001."""
    try:
        value = float(text)
    except ValueError:
        return text.strip("'\"")
    return text if text.lstrip("+-").isdecimal() else f"{value!r}"


def number_of(text: str) -> tuple[bool, float, str]:
    """Return a key by which numbers are ordered as numbers, before texts."""
    try:
        return False, float(text), ""
    except ValueError:
        return True, 0.0, text


def differing(jobs: Sequence[Job]) -> list[str]:
    """Return the keys that were given and that differ between jobs, in the order as given."""
    given = dict.fromkeys(key for job in jobs for key in job.settings)
    keys = [key for key in given if not key.startswith("hydra") and key not in ASIDE]
    return [key for key in keys if len({value_of(job, key) for job in jobs}) > 1]


def setting_keys(jobs: Sequence[Job]) -> list[str]:
    """Return the keys that make settings of jobs: those that differ, but for seeds."""
    return [key for key in differing(jobs) if key not in SEEDS]


def fold(jobs: Sequence[Job], keys: Sequence[str] | None = None) -> list[Setting]:
    """Return the settings of some jobs, in the order of their first jobs.

    Args:
        jobs: Of one sweep or several.
        keys: Those whose values make a setting; without them ``setting_keys``.
    """
    keys = setting_keys(jobs) if keys is None else keys
    found: dict[tuple[str, ...], list[Job]] = {}
    for job in jobs:
        found.setdefault(tuple(value_of(job, key) for key in keys), []).append(job)
    return [
        Setting(dict(zip(keys, values, strict=True)), tuple(members))
        for values, members in found.items()
    ]


def judged_by(jobs: Iterable[Job]) -> str:
    """Return the score that settings are chosen by: of training where nothing is validated."""
    finished = [job for job in jobs if job.state == DONE]
    validated = any(math.isfinite(job.validation_score) for job in finished)
    return "validation" if validated or not finished else "train"


def best_of(settings: Sequence[Setting]) -> Setting | None:
    """Return the setting with the highest mean of ``judged_by``; None where no run has finished.

    The test set has no part in it. Of equal ones it is the first.
    """
    by = judged_by(job for setting in settings for job in setting.jobs)
    able = [setting for setting in settings if setting.figure(by).n]
    return max(able, key=lambda setting: setting.figure(by).mean, default=None)


def kept(jobs: Sequence[Job], filters: Iterable[str]) -> list[Job]:
    """Return the jobs that all filters KEY=VALUE let through; VALUE may have * and ?.

    Raises:
        ConfigError: One is no KEY=VALUE, or there is no such key.
    """
    left = list(jobs)
    for text in filters:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--filter {text}: is no KEY=VALUE, as in --filter ETA=0.001")
        key = known_key(key, jobs)
        left = [job for job in left if _fits(value_of(job, key), plain(value))]
    return left


def _fits(value: str, wanted: str) -> bool:
    """Return whether a value is as wanted, or a list in which one is."""
    entries = value[1:-1].split(",") if value.startswith("[") else []
    return any(fnmatchcase(one.strip(), wanted) for one in (value, *entries))


def known_key(name: str, jobs: Iterable[Job], figures: Iterable[str] = ()) -> str:
    """Return a key under its own name.

    Raises:
        ConfigError: No job has it. ``figures`` is what might have been given instead, to --sort.
    """
    key = ALIASES.get(name, name)
    known = {STATE, *SCHEMA, *GROUP_NAMES, *(key for job in jobs for key in job.settings)}
    if key in known or any(value_of(job, key) for job in jobs):
        return key
    more = f" --sort takes a key or {', '.join(figures)}" if figures else ""
    raise ConfigError(
        f"{name}: there is no such key.{did_you_mean(name, {*known, *figures})}{more}"
    )


def in_order(settings: list[Setting], by: str, jobs: Sequence[Job]) -> list[Setting]:
    """Return settings ordered by a figure, the highest first, or by a key; -NAME: the other way.

    Raises:
        ConfigError: There is no such figure or key.
    """
    name = by.removeprefix("-")
    if name in SCORES:
        return sorted(settings, key=_descending(name), reverse=by != name)
    if name in FIGURES:
        return sorted(settings, key=lambda s: nan_last(s.figure(name).mean), reverse=by != name)
    key = known_key(name, jobs, FIGURES)
    return sorted(settings, key=lambda s: number_of(value_of(s.jobs[0], key)), reverse=by != name)


def _descending(name: str) -> Callable[[Setting], float]:
    return lambda setting: nan_last(-setting.figure(name).mean)


def nan_last(value: float) -> float:
    """Return a key by which numbers are ordered, and NaN after them."""
    return math.inf if math.isnan(value) else value


def _composed(job: Job, key: str) -> str:
    """Return the value of a key in the configuration that a run was, or will be, composed with."""
    top, _, option = key.partition(".")
    try:
        block = _block(RunPaths(job.folder).config, top)
        return plain(shown(block[option or "name"] if isinstance(block, dict) else block))
    except (OSError, ValueError, KeyError):  # it has not begun
        name = key if key in job.common else f"{key}.name"
        return plain(shown(job.common[name])) if name in job.common else ""


@lru_cache(maxsize=4096)
def _block(file: Path, top: str) -> Any:
    """Return one entry of a configuration in YAML; to read all of it would take its time."""
    text = file.read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(top)}:.*\n(?:[ -].*\n)*", text, re.MULTILINE)
    if not found:
        raise KeyError(top)
    return yaml.load(found[0], Loader=LOADER)[top]
