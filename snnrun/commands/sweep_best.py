"""The best setting of a sweep: as a command, as a preset file, and on the test set."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from snnrun.commands.arguments import split
from snnrun.commands.compose import PRESET, compose_words, without_hydra
from snnrun.commands.result import best_lines, options_of
from snnrun.config import flat
from snnrun.errors import ConfigError, RecordError
from snnrun.files import atomic_file, write_error
from snnrun.keys.kinds import plain
from snnrun.numbers import duration
from snnrun.presets import NONE
from snnrun.record.paths import RunPaths
from snnrun.record.provenance import SEEDS
from snnrun.record.saved import load_config
from snnrun.shell import command
from snnrun.sweeps.settings import ASIDE, Setting, best_of, differing, figure_of, fold, judged_by
from snnrun.sweeps.sweep import Sweep
from snnrun.sweeps.table import percent

GROUPS = ("network", "rule")  # whose choice is part of a preset
OF_THE_MACHINE = ("backend.threads", "backend.cache_dir", "BUILD", "TIMING")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def best(sweep: Sweep) -> Setting:
    """Return the best setting of a sweep.

    Raises:
        RecordError: No run has finished.
    """
    found = best_of(fold(sweep.jobs))
    if found is None:
        raise RecordError(f"{sweep.folder}: none of its {len(sweep.jobs)} jobs has finished")
    return found


def write_preset(sweep: Sweep, setting: Setting, name: str, folder: Path) -> Path:
    """Write what a setting has differently from the table of its data set to a preset file.

    Raises:
        ConfigError: The name is none of a preset, or there is one of that name.
        RecordError: The folder cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"--preset {name}: must be a plain name, as in shd_best-2")
    file = folder / "preset" / f"{name}.yaml"
    if file.exists():
        raise ConfigError(f"{file}: is there already; choose another name")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(file.parent, error) from error
    text = f"{_header(sweep, setting, name, folder)}\n{_differences(sweep, setting)}"
    with atomic_file(file) as written:
        written.write(text.encode())
    return file


def test(setting: Setting, words: Sequence[str]) -> list[str]:
    """Evaluate the runs of a setting on the test set; return a line with mean and deviation.

    Args:
        setting: Whose finished runs are tested.
        words: KEY=VALUE, as `snnrun test` takes them.
    """
    from snnrun.commands.saved_run import load, log_to
    from snnrun.record.reader import load_run
    from snnrun.run import test as test_run

    found = []
    for job in setting.finished:
        print(f"\n{command('test', job.folder, *words)}", flush=True)
        config = load(job.folder, words, "test", keep=False)
        log_to(job.folder)
        figures = test_run(config, job.folder)
        found.append(figures[load_run(job.folder).task.score])
    return ["", f"test {percent(figure_of(found))} % ({len(found)} runs)"]


def _header(sweep: Sweep, setting: Setting, name: str, folder: Path) -> str:
    settings, jobs = fold(sweep.jobs), setting.finished
    by = judged_by(sweep.jobs)
    seeds = "; ".join(
        f"{key}={','.join(dict.fromkeys(job.settings[key] for job in jobs))}"
        for key in differing(jobs)
        if key in SEEDS
    )
    tested = setting.figure("test")
    figures = [f"{by} {percent(setting.figure(by))} %"]
    if tested.n:
        figures.insert(0, f"test {percent(tested)} %")
    tried = {key: dict.fromkeys(one.values[key] for one in settings) for key in setting.values}
    among = ", ".join(f"{key}={'|'.join(values)}" for key, values in tried.items())
    lines = [
        command("train", "--config-dir", folder, f"{PRESET}{name}"),
        f"source: the best of {len(settings)} settings of a sweep, {sweep.folder.name}",
        "published: none",
        f"here: {', '.join(figures)} ({seeds + '; ' if seeds else ''}last epoch, n {len(jobs)})",
        f"chosen: by the highest mean {by} score, of {among or 'one setting'}",
        f"run time: {duration(setting.figure('seconds').mean)} of training",
    ]
    return "\n".join(["# @package _global_", *(f"# {line}" for line in lines)])


def _differences(sweep: Sweep, setting: Setting) -> str:
    """Return the choices of groups and the values that differ from what these choices bring."""
    saved = load_config(RunPaths(setting.finished[0].folder).config)
    values = flat(saved)
    chosen = {"dataset": str(values["dataset.name"])}
    table = _composed(sweep, chosen)
    chosen |= {
        g: str(values[f"{g}.name"]) for g in GROUPS if values[f"{g}.name"] != table[f"{g}.name"]
    }
    table = _composed(sweep, chosen)
    left_out = (*SEEDS, *ASIDE, *OF_THE_MACHINE)
    different = {
        key: plain(value)
        for key, value in values.items()
        if key not in left_out and (key not in table or table[key] != value)
    }
    lines = ["defaults:", *(f"  - override /{group}: {name}" for group, name in chosen.items())]
    return "\n".join([*lines, "", _as_yaml(different)])


def _composed(sweep: Sweep, chosen: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of choices of groups, without a preset."""
    words = [f"{group}={name}" for group, name in chosen.items()]
    line = split([*options_of(sweep), *words, f"{PRESET}{NONE}"])
    return flat(without_hydra(compose_words(line.overrides, line.own_folders())))


def _as_yaml(values: Mapping[str, Any]) -> str:
    nested: dict[str, Any] = {}
    for name, value in values.items():
        group, _, option = name.rpartition(".")
        (nested.setdefault(group, {}) if group else nested)[option] = value
    return str(yaml.safe_dump(nested, sort_keys=False)) if nested else ""


def describe(sweep: Sweep, setting: Setting) -> list[str]:
    """Return the best setting, its figures and the command that runs it."""
    figures = {"validation": "valid", "train": "train", "test": "test"}
    known = [
        f"{word} {percent(figure)} %"
        for name, word in figures.items()
        if (figure := setting.figure(name)).n
    ]
    return [*best_lines(sweep, setting), "  " + ", ".join(known)]
