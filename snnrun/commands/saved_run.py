"""The configuration of a run that exists, and what may be changed of it."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from snnrun.commands.arguments import parse, value_text
from snnrun.commands.hydra_app import save_config
from snnrun.commands.setting import origin_of
from snnrun.commands.typed import as_typed
from snnrun.config import Config, listed, validate
from snnrun.errors import ConfigError
from snnrun.presets import NONE, Setting
from snnrun.record.paths import RunPaths
from snnrun.schema import ALIASES, SCHEMA
from snnrun.schema.effect import used_keys
from snnrun.schema.hints import unknown_key

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
GROUPS = {"backend": "backend.name"}  # choosing another backend changes nothing else


def load(folder: Path, overrides: Sequence[str], command: str, keep: bool) -> Config:
    """Return the configuration of the run in ``folder`` with ``overrides``.

    Args:
        folder: The run folder.
        overrides: KEY=VALUE, only of keys that the schema lets ``command`` change.
        command: resume or test.
        keep: Write the overrides to the run folder, so that a later resume uses them too.

    Raises:
        ConfigError: An override that is not allowed, or a configuration that is wrong.
    """
    from omegaconf import OmegaConf

    earlier_file = earlier_overrides(folder)
    earlier = list(OmegaConf.load(earlier_file)) if earlier_file.exists() else []
    saved = OmegaConf.to_container(OmegaConf.load(RunPaths(folder).config), resolve=True)
    if not isinstance(saved, dict):
        raise ConfigError(f"{RunPaths(folder).config}: holds no configuration")
    values: dict[str, Any] = {str(key): value for key, value in saved.items()}
    if command == "test":  # in a training run these say what it started from
        values |= {"LOAD_LAST": False, "LOAD_BEST": False}
    overrides = [as_typed(word) for word in overrides]
    given = read_overrides(overrides, command, values)
    for name, value in read_overrides([*map(str, earlier)], "resume", values) + given:
        group, _, option = name.rpartition(".")
        (values[group] if group else values)[option] = value
    _forget_other_backends(values, {name for name, _ in given})
    config = validate(values)
    if keep and values.get("MODEL_SEED") != config.MODEL_SEED:  # killed before it was written
        saved["MODEL_SEED"] = config.MODEL_SEED
        save_config(OmegaConf.create(saved), RunPaths(folder).config)
    if keep and overrides:
        save_config(OmegaConf.create([*map(str, earlier), *overrides]), earlier_file)
    return config


def _forget_other_backends(values: dict[str, Any], given: set[str]) -> None:
    """Take out saved keys that only another backend has, unless they were given anew."""
    chosen = {"backend.name": values["backend"]["name"]}
    for name, key in SCHEMA.items():
        theirs = [c for c in key.active_if if c.key == "backend.name"]
        if not theirs or any(c.holds(chosen) for c in theirs) or name in given:
            continue
        group, _, option = name.rpartition(".")
        (values[group] if group else values).pop(option, None)


def read_overrides(
    overrides: Sequence[str], command: str, run: Mapping[str, Any]
) -> list[tuple[str, Any]]:
    """Return (key, value) of each override of the saved configuration ``run``.

    Raises:
        ConfigError: With a line for each that is not KEY=VALUE, or whose key may not change.
    """
    wrong, pairs = [], []
    for text, override in zip(overrides, parse(overrides), strict=True):
        name = override.key_or_group
        name = GROUPS.get(name, ALIASES.get(name, name))
        problem = _refusal(override, name, command, run)
        if problem:
            wrong.append(f"{text}: {problem}" if name in SCHEMA else problem)
        else:
            pairs.append((name, override.value()))
    if wrong:
        raise ConfigError(listed(wrong, "on the command line"))
    return pairs


def earlier_overrides(folder: Path) -> Path:
    """Return the file with the overrides that earlier resumes of the run were given, in order."""
    return RunPaths(folder).hydra / "resumed_overrides.yaml"


def setting_of(folder: Path, config: Config) -> Setting:
    """Return where the values of a run are from, as far as its folder says it.

    Hydra notes what it composed; `snnrun.train` writes what it took as an override.
    """
    from omegaconf import OmegaConf

    noted = RunPaths(folder).hydra / "hydra.yaml"
    if noted.is_file():
        origin = origin_of(OmegaConf.load(noted).hydra)
        suits = origin.suits(config.rule.name)
        return Setting(preset=origin.preset if suits else NONE, by_default=origin.by_default)
    for word in map(str, OmegaConf.load(RunPaths(folder).overrides)):
        group, _, name = word.partition("=")
        if group in ("preset", "dataset"):
            return Setting(preset=name, by_default=group == "dataset")
    return Setting(preset=None)


def log_to(folder: Path) -> None:
    """Append Python's log messages to run.log of the run, as Hydra does in `snnrun train`."""
    handler = logging.FileHandler(RunPaths(folder).log, delay=True)
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(handler)


def changeable(command: str) -> list[str]:
    """Return the keys that ``command`` may change of a run."""
    return [name for name, key in SCHEMA.items() if command in key.changeable]


def describe_changeable(command: str) -> str:
    """Return these keys as a paragraph for help texts."""
    names = ", ".join(changeable(command))
    return textwrap.fill(names, 96, initial_indent="  ", subsequent_indent="  ")


def _used(names: Sequence[str], run: Mapping[str, Any]) -> list[str]:
    """Return those of the keys ``names`` that have an effect in the run."""
    try:
        config = validate(run)
    except ConfigError:  # what is wrong with it is told once its overrides are right
        return list(names)
    used = used_keys(config.by_key())
    return [name for name in names if name in used]


def _refusal(override: Any, name: str, command: str, run: Mapping[str, Any]) -> str:
    if override.is_sweep_override():
        return "one run is one configuration; give one value"
    if override.is_add() or override.is_delete() or override.package is not None:
        return f"{command} takes KEY=VALUE only"
    if name in SCHEMA and command in SCHEMA[name].changeable:
        return ""
    if name in SCHEMA:
        return (
            f"cannot be changed by `snnrun {command}`, since the run would no longer be the same; "
            f"it can change: {', '.join(_used(changeable(command), run))}"
        )
    if name.split(".")[0] in ("hydra", "preset") or f"{name}.name" in SCHEMA:
        return f"{name}: `snnrun {command}` takes single keys, not groups"
    return unknown_key(name, value_text(override))
