"""The configuration groups, and what is chosen of them on a command line.

Hydra's defaults list takes the preset of the data set's name. That a preset of a data set's name
brings the data set with it is beyond that list, as each would follow the other.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from snnrun.config import conf_dir
from snnrun.errors import ConfigError, either
from snnrun.presets import NONE, file_of, read
from snnrun.schema import GROUP_NAMES

DATASET, PRESET = "dataset", "preset"
OF_ITS_DATA_SET = "${dataset}"  # the preset of the name of each data set of a sweep
PACKAGE = "# @package _global_"
_HEADER = re.compile(r"\s*#\s*@package\s")


def groups(folders: Iterable[Path]) -> dict[str, list[str]]:
    """Return group -> its choices, from the configuration files in ``folders``."""
    found: dict[str, set[str]] = {}
    for folder in folders:
        for file in Path(folder).glob("*/**/*.yaml"):
            group, *rest = file.relative_to(folder).with_suffix("").parts
            if group != "hydra":
                found.setdefault(group, set()).add("/".join(rest))
    return {group: sorted(choices) for group, choices in sorted(found.items())}


def describe_groups() -> str:
    """Return the groups and their choices, each on lines of its own, for help texts."""
    found = groups([conf_dir()])
    first = [name for name in GROUP_NAMES if name in found]
    order = first + [name for name in found if name not in first]
    lines = []
    for name in order:
        start = f"  {name}="
        choices = textwrap.wrap("| ".join(found[name]), 96 - len(start))  # breaks after a |
        indent = "\n" + " " * len(start)
        lines.append(start + indent.join(line.replace("| ", "|") for line in choices))
    return "\n".join(lines)


def choices_of(override: Any) -> list[str]:
    """Return the choices that an override of a group names; [] where only Hydra can tell."""
    value = override.value()
    if override.is_sweep_override():
        # a glob has no list; a quoted text keeps its quotes beside it
        chosen = [getattr(item, "text", item) for item in getattr(value, "list", [])]
    elif value is None:
        chosen = [NONE] if override.key_or_group == PRESET else ["null"]
    else:
        chosen = value if isinstance(value, list) else [value]
    return [str(item) for item in chosen if not str(item).startswith("${")]


def without_package(override: Any, folders: Sequence[Path]) -> Iterator[str]:
    """Yield a line for each chosen file that holds keys of the run but does not say that it does.

    Hydra then takes them for keys below the name of the group, of which there are none.
    """
    group = override.key_or_group
    theirs = re.compile(rf"^([A-Z][A-Z0-9_]*|{group}) *:", re.MULTILINE)
    for name in choices_of(override):
        for file in (folder / group / f"{name}.yaml" for folder in folders):
            try:
                text = file.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                yield f"{file}: is no text in UTF-8"
                continue
            except OSError:  # in another folder, or told by Hydra
                continue
            if not _HEADER.match(text) and (group == PRESET or theirs.search(text)):
                yield f"{file}: its first line must be `{PACKAGE}`, as its keys are those of a run"


def with_data_set(
    words: Sequence[str], parsed: Sequence[Any], folders: Sequence[Path]
) -> list[str]:
    """Return the overrides with the data set that a preset brings, and with no preset for others.

    Args:
        words: The overrides.
        parsed: The same as Hydra reads them.
        folders: Those of the configuration files.

    Raises:
        ConfigError: A sweep over presets of which one brings another data set than the others.
    """
    words = [f"{PRESET}={NONE}" if word == f"{PRESET}=null" else word for word in words]
    given = {override.key_or_group: override for override in parsed}
    if PRESET not in given:
        # a data set that no file describes has no preset of its name
        own = "dataset.name" in given or (DATASET in given and given[DATASET].is_delete())
        return [*words, f"{PRESET}={NONE}"] if own else words
    if DATASET in given or given[PRESET].is_delete():
        return words
    names = choices_of(given[PRESET])
    bringing = {name: read(file).dataset for name in names if (file := file_of(name, folders))}
    recommended = [name for name in names if bringing.get(name) == name]
    if not recommended:
        return words
    if len(recommended) == len(names):  # sweeps over data sets, whose jobs are counted in its place
        mine, data_sets = f"{PRESET}=", f"{DATASET}={','.join(names)}"
        words = [data_sets if word.startswith(mine) else word for word in words]
        return [*words, f"{PRESET}={names[0] if len(names) == 1 else OF_ITS_DATA_SET}"]
    datasets = {name: bringing[name] for name in names if bringing.get(name)}
    if len(set(datasets.values())) > 1:
        raise ConfigError(_mixed(names, datasets, recommended))
    return [*words, f"{DATASET}={recommended[0]}"]


def _mixed(names: Sequence[str], datasets: dict[str, str], recommended: Collection[str]) -> str:
    own = ", ".join(f"{name} is for {datasets[name]}" for name in names if name in datasets)
    rest = [name for name in names if name not in recommended]
    return (
        f"{PRESET}={','.join(names)}: {own}; a sweep takes the recommended settings of several "
        f"data sets, as in {PRESET}={','.join(recommended)}, or presets of one data set; sweep "
        f"over {either(rest)} by {'itself' if len(rest) == 1 else 'themselves'}"
    )
