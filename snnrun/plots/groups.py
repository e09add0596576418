"""Runs that are compared: those that differ by seeds only are one group, with a short name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from snnrun.config import flat, words_in
from snnrun.keys.kinds import shown
from snnrun.presets import NONE
from snnrun.record.paths import RunPaths
from snnrun.record.provenance import SEEDS
from snnrun.record.reader import Run
from snnrun.record.saved import load_config
from snnrun.schema import SCHEMA
from snnrun.schema.effect import used_keys
from snnrun.sweeps.asked import overrides_of
from snnrun.tasks import Task

NO_DIFFERENCE = (  # of what is learned
    *SEEDS,
    "NAME",
    "TAGS",
    "OUT_DIR",
    "N_EPOCH",
    "DEBUG_HIDDEN_N",
    "TIMING",
    "BUILD",
    "DATA_ON_DISK",
    "backend.threads",
    "backend.cache_dir",
)
CHOICE = ".name"  # of the key that a group of choices sets
LOADED = ("LOAD_LAST", "LOAD_BEST")
Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Runs of one configuration, but for seeds.

    Args:
        name: NAME, preset or folder.
        named: Whether it was given a name, and has more than its folder's.
        settings: The keys that tell the groups apart, and their values, in the order of the groups.
        task: Of the runs.
        loss: What the loss is, of the runs that learn the same task.
        runs: The tables of their epochs.
    """

    name: str
    named: bool = True
    settings: Mapping[str, Any]
    task: Task
    loss: str = ""
    runs: Sequence[Columns]

    def mean_and_spread(self, column: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return epochs, mean and standard deviation (n - 1) of a column over the runs.

        The curve ends with the shortest run: a mean over fewer runs would jump.
        """
        length = min(len(run["epoch"]) for run in self.runs)
        curves = np.stack([np.asarray(run[column][:length], float) for run in self.runs])
        spread = curves.std(axis=0, ddof=1) if len(curves) > 1 else np.zeros(length)
        return self.runs[0]["epoch"][:length], curves.mean(axis=0), spread

    @property
    def told(self) -> list[str]:
        """KEY=VALUE of each key that tells it apart; of a choice as the command line has it."""
        return [f"{key.removesuffix(CHOICE)}={shown(v)}" for key, v in self.settings.items()]


def name_of(name: str, paths: RunPaths) -> str:
    """Return what a run was called: its NAME, or its preset; "" where it has neither."""
    return preset_of(paths) if name == SCHEMA["NAME"].default else name


def folder_of(paths: RunPaths) -> str:
    """Return the name of a run's folder, with that of its sweep where it is a number."""
    folder = paths.root.resolve()
    return f"{folder.parent.name}/{folder.name}" if folder.name.isdecimal() else folder.name


def title_of(name: str, dataset: str, paths: RunPaths) -> str:
    """Return the short name of a run, its data set and its folder."""
    folder = folder_of(paths)
    words = [name_of(name, paths) or folder, dataset]
    more = f" ({folder})" if folder not in words else ""
    return ", ".join(dict.fromkeys(words)) + more


def preset_of(paths: RunPaths) -> str:
    """Return the preset that a run was composed of; "" without one, and where it is not known."""
    if not paths.composed.is_file():
        return ""
    found = OmegaConf.select(load_config(paths.composed), "hydra.runtime.choices.preset")
    return "" if found in (None, NONE) else str(found)


def group(runs: Sequence[Run]) -> list[Group]:
    """Put runs together that differ by seeds only, with what tells each group apart.

    Groups are in the order of the values of that, numbers in the order of numbers.
    """
    found: list[tuple[dict[str, Any], list[Run]]] = []
    for run in runs:
        settings = _settings(run.config)
        members = next((members for known, members in found if known == settings), None)
        if members is None:
            found.append((settings, [run]))
        else:
            members.append(run)
    first = [members[0] for _, members in found]
    given = [name_of(str(run.config.get("NAME", "")), run.paths) for run in first]
    names = [name or folder_of(run.paths) for name, run in zip(given, first, strict=True)]
    keys = _telling([settings for settings, _ in found], first, names)
    groups = [
        Group(
            name=name,
            named=name != folder_of(members[0].paths),
            settings={key: settings[key] for key in keys if key in settings},
            task=members[0].task,
            loss=str(settings.get("LOSS_TYPE", "")),
            runs=[run.epochs for run in members],
        )
        for name, (settings, members) in zip(names, found, strict=True)
    ]
    return sorted(groups, key=lambda one: [_order(one.settings.get(key)) for key in keys])


def _telling(
    settings: Sequence[Mapping[str, Any]], runs: Sequence[Run], names: Sequence[str]
) -> list[str]:
    """Return the keys that differ, those that were given on the command line before the others.

    Where presets or names tell all groups apart, they are those that were given.
    """
    values = {key: [one.get(key) for one in settings] for key in sorted({*chain(*settings)})}
    differing = [key for key, found in values.items() if found != found[:1] * len(found)]
    # an option of one choice alone, with one value, says no more than that choice
    there = {key: {shown(one[key]) for one in settings if key in one} for key in differing}
    differing = [key for key in differing if len(there[key]) > 1] or differing
    words = [key for run in runs for key in _words(run)]
    keys = (key if key in differing else key + CHOICE for key in words)
    given = dict.fromkeys(key for key in keys if key in differing)
    if len(set(names)) == len(names) and len({preset_of(run.paths) for run in runs}) > 1:
        return list(given)
    return list(dict.fromkeys([*given, *differing]))


def _words(run: Run) -> Mapping[str, str]:
    file = run.paths.overrides
    return overrides_of(words_in(load_config(file))) if file.is_file() else {}


def _order(value: Any) -> tuple[bool, float, str]:
    """Return a key by which numbers are ordered as such, before other values."""
    if number(value):
        return False, float(value), ""
    return True, 0.0, str(value)


def number(value: Any) -> bool:
    """Return whether a value is a number; a switch is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that make a difference, those of groups as GROUP.OPTION."""
    given = flat(config)
    defaults = {name: key.default_of(given["dataset.name"]) for name, key in SCHEMA.items()}
    used = set(used_keys(defaults | given))  # a run of an older version lacks the newest keys
    return {
        name: value
        for name, value in given.items()
        if not only_kept(name) and (name in used or name not in SCHEMA)
    }


def only_kept(name: str) -> bool:
    """Return whether a key changes nothing that is learned, as those of what is recorded."""
    recording = name in SCHEMA and SCHEMA[name].section == "recording controls"
    return name in NO_DIFFERENCE or name == "record.name" or (recording and name not in LOADED)
