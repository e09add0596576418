"""What Hydra composes of a command line, and which preset a configuration takes.

Hydra takes the preset that is called as the data set, if there is one and none is chosen. Whoever
chooses another rule, loss or network has not asked for its values: those that have no effect
beside that choice become the table's, and with a rule that it was not made for all of them do.

Importing this tells OmegaConf of ``${home:PATH}``, which ``conf/config.yaml`` uses: PATH with the
home folder for a ``~`` at its start, as Hydra makes run folders from texts as they are. Every
process of a multirun imports it with the callback that the configuration names.
"""

from __future__ import annotations

import os
import re
import threading
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
import omegaconf
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.version import VersionBase
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from snnrun.commands.arguments import CommandLine, check, parse
from snnrun.config import Config, conf_dir, flat, validate, words_in
from snnrun.errors import ConfigError, NoEffect, SnnrunError
from snnrun.keys.kinds import shown
from snnrun.presets import NONE, Setting, file_of, read
from snnrun.schema import GROUP_NAMES
from snnrun.schema.files import FILE_KEY
from snnrun.schema.layers import LAYERS_KEY
from snnrun.schema.lists import POPULATIONS_KEY, PROJECTIONS_KEY
from snnrun.shell import hydra_quoted

Values = dict[str, Any]
PRESET = "preset="
SEARCHPATH = "hydra.searchpath"

# From OmegaConf 2.4 on it has the second name, and the first is warned of
_of_2_3 = omegaconf.__version__.startswith("2.3.")
_register: Any = OmegaConf.register_new_resolver if _of_2_3 else OmegaConf.register_resolver
_register("home", os.path.expanduser, replace=True)

IS_1_3 = hydra.__version__.startswith("1.3.")
# Hydra 1.3 asks which version's behaviour is wanted; later ones have one, and warn of the question
VERSION: Mapping[str, str] = {"version_base": "1.3"} if IS_1_3 else {}

_NO_ENTRY = re.compile(
    r"Error merging override \+*(?P<override>(?P<key>[\w.]+?)\.\d+[.=].*)\nlist index out of range"
)
_NO_GROUPS = re.compile(
    r"(?P<file>preset/[^:\s]+): Default List Overrides are not allowed.*override /?(?P<group>\w+)=",
    re.DOTALL,
)
_ENTRY = re.compile(r"\+*(?P<list>[\w.]+?)\.\d+[.=]")  # network.projections.0.delay=null
_NO_MERGE = re.compile(
    r"In '(?P<file>[^']+)': ConfigTypeError.*\nCannot merge (Dict|List)Config with (Dict|List)"
)
_NO_LAUNCHER = re.compile(r"Could not find 'hydra/launcher/(?P<name>joblib|submitit_\w+)'")
_NO_CHOICE = re.compile(
    r"Could not find '(?P<group>hydra/\w+)/(?P<name>[^']+)'\s+Available options in [^\n]+\n"
    r"(?P<there>(?:\t\w+\n?)+)"
)
_NO_MAIN = re.compile(r"Cannot find primary config '(?P<name>[^']+)'")
_ONE_AT_A_TIME = threading.RLock()  # Hydra keeps what it composes with in variables of the process


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a configuration was composed of: files and words."""

    preset: str
    by_default: bool  # the preset was not chosen, but taken for the data set
    groups: Mapping[str, str]  # group -> choice
    overrides: Sequence[str]
    folders: Sequence[Path]

    @classmethod
    def of(cls, hydra: Any) -> Origin:
        """Return what Hydra's own node of a configuration, or its file of a run, says of it."""
        overrides = words_in(hydra.overrides.task)
        sources = hydra.runtime.config_sources
        folders = [Path(source.path) for source in sources if source.schema == "file"]
        choices = hydra.runtime.choices
        preset = choices.get("preset")
        preset = str(preset) if file_of(preset, folders) is not None else NONE
        return cls(
            preset=preset,
            by_default=preset != NONE and not any(map(_chooses_preset, overrides)),
            groups={name: str(choices[name]) for name in GROUP_NAMES if choices.get(name)},
            overrides=overrides,
            folders=folders,
        )

    @property
    def set_by_choice(self) -> set[str]:
        """Return the keys that the chosen files of groups are about, as RECURRENT of network.

        Any network takes the place of the preset's lists of layers or populations.
        """
        typed = {word.lstrip("+~").partition("=")[0] for word in self.overrides}
        files = [f for t in typed & {"network", "record"} for f in conf_dir().glob(f"{t}/*.yaml")]
        keys = {str(key) for f in files for key in OmegaConf.load(f) if key not in GROUP_NAMES}
        lists = (
            {LAYERS_KEY, POPULATIONS_KEY, PROJECTIONS_KEY, FILE_KEY}
            if "network" in typed
            else set()
        )
        return keys | lists

    def suits(self, rule: str) -> bool:
        """Return whether the preset, if it was taken by default, was made for a rule."""
        file = file_of(self.preset, self.folders)
        rules = read(file).rules if self.by_default and file else ()
        return not rules or rule in rules

    def table(self) -> Values:
        """Return what is composed of the same files and words without the preset."""
        typed = {word.partition("=")[0] for word in self.overrides}
        groups = [f"{g}={choice}" for g, choice in self.groups.items() if g not in typed]
        words = [w for w in self.overrides if not (_chooses_preset(w) or self._of_its_list(w))]
        return flat(without_hydra(compose_words([*groups, *words, PRESET + NONE], self.folders)))

    def _of_its_list(self, word: str) -> bool:
        """Return whether a word is about an entry of a list that the preset's file has."""
        entry, file = _ENTRY.match(word), file_of(self.preset, self.folders)
        return bool(entry and file and OmegaConf.select(OmegaConf.load(file), entry["list"]))


def composed(line: CommandLine) -> tuple[DictConfig, Origin]:
    """Return what Hydra composes from a command line, unchecked but for its names, and of what.

    Several threads may compose at once, also while an application of Hydra's runs in the process.

    Raises:
        ConfigError: A key, group or choice does not exist, or a file is wrong.
    """
    with _ONE_AT_A_TIME:
        overrides = check(line)
    cfg = compose_words(overrides, line.own_folders())
    return cfg, Origin.of(cfg.hydra)


def compose_words(
    overrides: Sequence[str], folders: Sequence[Path], main: str | None = None, name: str = "config"
) -> DictConfig:
    """Return what Hydra composes, with its own node ``hydra``.

    Args:
        overrides: As Hydra reads them.
        folders: Where configuration files are looked for besides ``main``.
        main: The folder of the first file; ours if not given.
        name: Of the first file.

    Raises:
        ConfigError: A file is wrong, or a choice is in none of the folders.
    """
    first = conf_dir() if main is None else Path(main).absolute()
    more = [f"file://{folder}" for folder in folders if folder != first]
    rest = []
    for word in overrides:
        if more and word.startswith(f"{SEARCHPATH}="):
            more += parse([word])[0].value() or ()  # Hydra takes one list only
        else:
            rest.append(word)
    words = [f"{SEARCHPATH}=[{', '.join(map(hydra_quoted, more))}]"] * bool(more) + rest
    with (
        _ONE_AT_A_TIME,
        refused_in_our_words(),
        _outer_application_kept(),
        hydra.initialize_config_dir(str(first), **VERSION),
    ):
        return hydra.compose(name, words, return_hydra_config=True)


def settle(values: Values, origin: Origin, table: Callable[[], Values]) -> tuple[Values, Setting]:
    """Return the values of a configuration once the preset has given way, and what is left of it.

    Args:
        values: Name -> value of what was composed, options under their full names.
        origin: Of what.
        table: Returns the same without the preset.
    """
    if origin.preset == NONE:
        return values, Setting(preset=NONE)
    if not origin.suits(str(values.get("rule.name"))):
        return table(), Setting(preset=NONE)
    values, left_out = _give_way(values, table, origin.set_by_choice)
    return values, Setting(preset=origin.preset, by_default=origin.by_default, left_out=left_out)


def settled(cfg: DictConfig, origin: Origin) -> tuple[DictConfig, Setting]:
    """Return what Hydra composed, without its own node, once the preset has given way."""
    cfg = without_hydra(cfg)
    old = flat(cfg)
    new, setting = settle(old, origin, origin.table)
    with flag_override(cfg, ["struct", "readonly"], False):
        for name in old.keys() - new.keys():
            group, _, option = name.rpartition(".")
            del (cfg[group] if group else cfg)[option]
        for name, value in new.items():
            if name not in old or old[name] != value:
                OmegaConf.update(cfg, name, value, merge=False, force_add=True)
    return cfg, setting


def configured(line: CommandLine) -> Config:
    """Return the checked configuration of a command line.

    Raises:
        ConfigError: Something in it is wrong.
    """
    cfg, origin = composed(line)
    cfg, setting = settled(cfg, origin)
    try:
        return validate(cfg)
    except ConfigError as error:
        raise explained(error, setting, origin.table) from None


def words_of(cfg: DictConfig, origin: Origin) -> list[str]:
    """Return the overrides with which Hydra itself composes what ``settle`` makes of ``cfg``."""
    new, setting = settle(flat(without_hydra(cfg)), origin, origin.table)
    if setting.preset == NONE:
        return [PRESET + NONE] if origin.preset != NONE else []
    return [
        f"{name}={shown(new[name])}" if name in new else f"~{name}" for name in setting.left_out
    ]


def explained(error: ConfigError, setting: Setting, table: Callable[[], Values]) -> ConfigError:
    """Return the error of a configuration, with the way out where only the preset is wrong.

    ``table`` returns the same configuration without the preset.
    """
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


def without_hydra(cfg: DictConfig) -> DictConfig:
    """Return a copy of what Hydra composed, without its own node."""
    return OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])


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
        useless = [name for name in useless if name in values and name not in left_out]
        if useless and not usual:
            usual = table()
        mine = [name for name in useless if name not in usual or values.get(name) != usual[name]]
        if not mine:
            return values, tuple(left_out)
        left_out += mine
        values = {name: value for name, value in values.items() if name not in mine}
        values |= {name: usual[name] for name in mine if name in usual}


def _without_effect(values: Values) -> list[str]:
    try:
        validate(values)
    except ConfigError as error:
        return [problem.key for problem in error.problems if isinstance(problem, NoEffect)]
    return []


def _chooses_preset(word: str) -> bool:
    return word.lstrip("+~").partition("=")[0] == "preset"


@contextmanager
def _outer_application_kept() -> Iterator[None]:
    """Take away what Hydra holds of a user's own application that calls us, and give it back."""
    outer, base = GlobalHydra.instance().hydra, VersionBase.instance().version_base
    GlobalHydra.instance().hydra = None
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = outer
        VersionBase.instance().version_base = base


@contextmanager
def refused_in_our_words() -> Iterator[None]:
    """Make a ConfigError of what Hydra refuses, and of a file that is no YAML or no text."""
    try:
        yield
    except SnnrunError:
        raise
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise ConfigError(_in_our_words(error)) from error
    except ValueError as error:
        frames = traceback.extract_tb(error.__traceback__)
        if not any(frame.name == "load_configuration" for frame in frames):  # Hydra's
            raise
        what = "a file is no text in UTF-8: " if isinstance(error, UnicodeDecodeError) else ""
        raise ConfigError(f"the configuration cannot be read: {what}{error}") from error


def _in_our_words(error: BaseException) -> str:
    """Return an error of Hydra's with its cause, or our own words where Hydra has none."""
    cause = f"\n{error.__cause__}" if error.__cause__ is not None else ""
    text = f"{error}{cause}".strip()
    if beyond := _NO_ENTRY.match(text):
        return (
            f"{beyond['override']}: the list that is chosen has no such entry; give it whole, as "
            f"in '{beyond['key']}=[...]', or choose a file that has this entry"
        )
    if mixed := _NO_MERGE.search(text):
        return f"{mixed['file']}.yaml: a list stands where a mapping belongs, or the reverse"
    if launcher := _NO_LAUNCHER.search(text):
        name = launcher["name"]
        plugin = f"hydra-{name.partition('_')[0]}-launcher"
        return (
            f"hydra/launcher={name}: needs {plugin}, which is not installed. Install it: pip "
            f"install '.[sweeps]' in the folder of snnrun's source, or pip install {plugin}"
        )
    if choice := _NO_CHOICE.search(text):
        there = ", ".join(choice["there"].split())
        return f"{choice['group']}={choice['name']}: must be one of {there}"
    if main := _NO_MAIN.search(text):
        name = main["name"]
        return f"--config-name {name}: there is no {name}.yaml; --config-dir says where yours is"
    if groups := _NO_GROUPS.search(text):
        name = groups["file"].removeprefix("preset/")
        return (
            f"{groups['file']}.yaml: is taken for dataset={name} where no preset is given, and "
            f"cannot choose groups; leave out its line `override /{groups['group']}: ...` and give "
            "keys, or give the file another name"
        )
    return text
