"""`snnrun pack`: a run as one file, to be resumed at another place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from snnrun.commands.arguments import path_of, taken
from snnrun.errors import ConfigError, did_you_mean
from snnrun.shell import command, quoted

HELP = """\
usage: snnrun pack [RUN] [--output FILE]

Writes the run in folder RUN (without RUN, the newest below ./outputs) to one archive: FILE, which
ends in .tar.gz, .tgz, .tar or .zip, or else one with the name of the run in the current folder.
Unpacked anywhere, the run goes on with the same bits as here. Models and rules of your own are in
it, with the files that the configuration names; the data set is not. A run on which a process is at
work is refused.

examples:
  snnrun pack outputs/2026-11-21/18-03-12-123456 --output spoken.tar.gz
  tar xf spoken.tar.gz && snnrun resume spoken      # at another place
"""
OUTPUT = "--output"
OF_THIS_PLACE = ("OUT_DIR", "DATA_ON_DISK", "dataset.path", "backend.compiler", "backend.cache_dir")


def run(arguments: Sequence[str]) -> int:
    output, words = taken(arguments, OUTPUT, f"a file, as in {OUTPUT} run.tar.gz")
    for word in words:
        if word.startswith("-"):
            hint = did_you_mean(word, [OUTPUT])
            raise ConfigError(f"{word}: there is no such option.{hint} Options: {OUTPUT}")
    from snnrun.commands.saved_run import find_run, load
    from snnrun.load import users_modules
    from snnrun.numbers import size_in_words
    from snnrun.record.archive import FORMATS, pack
    from snnrun.record.paths import RunPaths

    folder, rest = find_run(words, "pack")
    if rest:
        raise ConfigError(f"{' '.join(rest)}: snnrun pack changes no keys of a run")
    paths = RunPaths(folder)
    target = path_of(output or f"{_name(folder)}{FORMATS[0]}")
    kind = next((end for end in FORMATS if target.name.endswith(end)), "")
    if not kind or target.name == kind:
        raise ConfigError(f"{OUTPUT} {target}: must end in one of {', '.join(FORMATS)}")
    if target.is_dir():
        raise ConfigError(f"{OUTPUT} {target}: is a folder")
    if not target.parent.is_dir():
        raise ConfigError(f"{OUTPUT} {target}: there is no folder {target.parent}")
    name = target.name.removesuffix(kind)
    config = load(folder, [], "resume", keep=False).by_key()
    elsewhere = {key: _default(key) for key in OF_THIS_PLACE if _is_absolute(config.get(key))}
    modules = dict(users_modules(_dotted(config)))
    pack(paths, target, name, elsewhere=elsewhere, modules=modules)
    print(f"{target}  {size_in_words(target.stat().st_size)}")
    for key, value in elsewhere.items():
        print(f"  {key}={config[key]} holds here alone; in the archive it is {_told(value)}")
    how = "unzip -q" if kind == ".zip" else "tar xf"
    unpack = f"{how} {quoted(target.name)}"
    print(f"at another place:\n  {unpack} && {command('resume', Path(name))}")
    return 0


def _name(folder: Path) -> str:
    """Return a name for a run: that of its folder, with the date and the time that it is in."""
    parts = folder.absolute().parts
    if "outputs" in parts:
        below = parts[len(parts) - parts[::-1].index("outputs") :]
        return "_".join(part for part in below if part != "multirun")
    return parts[-1]


def _is_absolute(value: Any) -> bool:
    return isinstance(value, str) and Path(value).expanduser().is_absolute()


def _default(key: str) -> Any:
    from snnrun.schema import SCHEMA

    return SCHEMA[key].default


def _told(value: Any) -> str:
    from snnrun.keys.kinds import shown

    return shown(value)


def _dotted(value: Any) -> Iterator[str]:
    """Yield all texts in a configuration that may be dotted paths."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _dotted(item)
    elif isinstance(value, str) and "." in value and all(map(str.isidentifier, value.split("."))):
        yield value
