"""Which preset a configuration takes, and what of it gives way to the choices beside it.

Hydra takes the preset that is called as the data set, if there is one and none is chosen. Whoever
chooses another rule, loss or network has not asked for its values: those that have no effect
beside that choice become the table's, and with a rule that it was not made for all of them do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnrun.config import conf_dir, validate
from snnrun.errors import ConfigError, NoEffect
from snnrun.keys.kinds import shown
from snnrun.presets import NONE, Setting, file_of, read
from snnrun.schema import GROUP_NAMES

if TYPE_CHECKING:
    from omegaconf import DictConfig

Values = dict[str, Any]
PRESET = "preset="


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a configuration was composed of: files and words."""

    preset: str
    by_default: bool  # the preset was not chosen, but taken for the data set
    groups: Mapping[str, str]  # group -> choice
    overrides: Sequence[str]
    folders: Sequence[Path]

    @property
    def set_by_choice(self) -> set[str]:
        """Return the keys that the chosen files of groups are about, as RECURRENT of network."""
        from omegaconf import OmegaConf

        typed = {word.lstrip("+~").partition("=")[0] for word in self.overrides}
        files = [f for t in typed & {"network", "record"} for f in conf_dir().glob(f"{t}/*.yaml")]
        return {str(key) for f in files for key in OmegaConf.load(f) if key not in GROUP_NAMES}

    def suits(self, rule: str) -> bool:
        """Return whether the preset, if it was taken by default, was made for a rule."""
        file = file_of(self.preset, self.folders)
        rules = read(file).rules if self.by_default and file else ()
        return not rules or rule in rules

    def table(self) -> DictConfig:
        """Return what is composed of the same files and words without the preset."""
        from snnrun.commands.compose import compose_words

        typed = {word.partition("=")[0] for word in self.overrides}
        groups = [f"{g}={choice}" for g, choice in self.groups.items() if g not in typed]
        words = [word for word in self.overrides if not _chooses_preset(word)]
        return compose_words([*groups, *words, PRESET + NONE], self.folders)[0]


def origin_of(hydra: Any) -> Origin:
    """Return what Hydra's own node of a configuration, or its file of a run, says of it."""
    overrides = [str(word) for word in hydra.overrides.task]
    sources = hydra.runtime.config_sources
    folders = [Path(source.path) for source in sources if source.schema == "file"]
    choice = hydra.runtime.choices.get("preset")
    taken = choice is not None and file_of(choice, folders) is not None
    preset = str(choice) if taken else NONE
    groups = {name: hydra.runtime.choices.get(name) for name in GROUP_NAMES}
    return Origin(
        preset=preset,
        by_default=preset != NONE and not any(map(_chooses_preset, overrides)),
        groups={name: str(choice) for name, choice in groups.items() if choice},
        overrides=overrides,
        folders=folders,
    )


def settle(values: Values, origin: Origin, table: Callable[[], Values]) -> tuple[Values, Setting]:
    """Return the values of a configuration once the preset has given way, and what is left of it.

    Args:
        values: What was composed, groups as dictionaries.
        origin: Of what.
        table: Returns the same without the preset.
    """
    if origin.preset == NONE:
        return values, Setting(preset=NONE)
    if not origin.suits(_rule(values)):
        return table(), Setting(preset=NONE)
    values, left_out = _give_way(values, table, origin.set_by_choice)
    return values, Setting(preset=origin.preset, by_default=origin.by_default, left_out=left_out)


def explained(error: ConfigError, setting: Setting, origin: Origin) -> ConfigError:
    """Return the error of what Hydra composed, with the way out where only the preset is wrong."""
    return error_of(error, setting, lambda: _plain(origin.table()))


def error_of(error: ConfigError, setting: Setting, table: Callable[[], Values]) -> ConfigError:
    """Return the error of a configuration, as ``explained``; ``table`` leaves the preset out."""
    if not setting.by_default:
        return error
    try:
        validate(table())
    except ConfigError:
        return error
    return ConfigError(
        f"{error}\nWhat was not given is from preset {setting.preset}, the recommended setting of "
        f"this data set. With {PRESET}{NONE} it is from the table, and this goes with it"
    )


def settle_in_place(cfg: DictConfig, origin: Origin) -> Setting:
    """Settle what Hydra composed; see ``settle``."""
    from omegaconf import OmegaConf, flag_override

    before = _plain(cfg)
    after, setting = settle(before, origin, lambda: _plain(origin.table()))
    old, new = _flat(before), _flat(after)
    with flag_override(cfg, "struct", False):
        for name in [name for name in old if name not in new]:
            group, _, option = name.rpartition(".")
            del (cfg[group] if group else cfg)[option]
        for name, value in new.items():
            if name not in old or old[name] != value:
                OmegaConf.update(cfg, name, value, merge=False, force_add=True)
    return setting


def words_of(cfg: DictConfig, origin: Origin) -> list[str]:
    """Return the overrides with which Hydra itself composes what ``settle`` makes of ``cfg``."""
    before = _plain(cfg)
    after, setting = settle(before, origin, lambda: _plain(origin.table()))
    if setting.preset == NONE:
        return [PRESET + NONE] if origin.preset != NONE else []
    new, left_out = _flat(after), setting.left_out
    return [f"{name}={shown(new[name])}" if name in new else f"~{name}" for name in left_out]


def _give_way(
    values: Values, table: Callable[[], Values], chosen: Collection[str]
) -> tuple[Values, tuple[str, ...]]:
    """Return the values with the table's for those of the preset that give way, and which.

    These are the keys ``chosen``, which files of other groups are about, and those that have no
    effect.
    """
    left_out: list[str] = []
    usual: Values = {}
    while True:
        useless = [*chosen, *_without_effect(values)] if not left_out else _without_effect(values)
        useless = [name for name in useless if name not in left_out]
        if useless and not usual:
            usual = _flat(table())
        flat = _flat(values)
        mine = [name for name in useless if name not in usual or flat.get(name) != usual[name]]
        if not mine:
            return values, tuple(left_out)
        left_out += mine
        for name in mine:
            flat.pop(name, None)
            flat |= {name: usual[name]} if name in usual else {}
        values = _nested(flat)


def _without_effect(values: Values) -> Iterable[str]:
    try:
        validate(values)
    except ConfigError as error:
        return [problem.key for problem in error.problems if isinstance(problem, NoEffect)]
    return []


def _rule(values: Values) -> str:
    rule = values.get("rule")
    return str(rule.get("name") if isinstance(rule, Mapping) else rule)


def _chooses_preset(word: str) -> bool:
    return word.lstrip("+~").partition("=")[0] == "preset"


def _plain(cfg: DictConfig) -> Values:
    from omegaconf import OmegaConf

    values = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(values, dict)
    return {str(name): value for name, value in values.items()}


def _flat(values: Values) -> Values:
    """Return name -> value, with options under their full names, as ``rule.name``."""
    found: Values = {}
    for name, value in values.items():
        if name in GROUP_NAMES and isinstance(value, Mapping):
            found |= {f"{name}.{option}": item for option, item in value.items()}
        else:
            found[name] = value
    return found


def _nested(flat: Values) -> Values:
    values: Values = {}
    for name, value in flat.items():
        group, _, option = name.rpartition(".")
        (values.setdefault(group, {}) if group else values)[option] = value
    return values
