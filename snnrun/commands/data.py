"""`snnrun data info | verify | fetch`: the data sets and their files."""

from __future__ import annotations

from collections.abc import Sequence

from snnrun.commands.arguments import CommandLine, path_of, split, taken
from snnrun.errors import ConfigError, did_you_mean
from snnrun.schema import DATASETS

ACTIONS = ("info", "verify", "fetch")
HELP = """\
usage: snnrun data info|verify|fetch [dataset=NAME] [KEY=VALUE ...] [--from FOLDER]

info    where the files of a data set are expected, and what is in them (no dataset=: of each)
verify  read the files from end to end and compare their checksums
fetch   download the public files, or copy those of a FOLDER that you have

examples:
  snnrun data info
  snnrun data info dataset=shd dataset.path=/data/shd
  snnrun data verify dataset=mnist
  snnrun data fetch dataset=shd
  snnrun data fetch dataset=shd --from ~/Downloads

options:
  --from FOLDER          fetch only: where the files are now
  --config-dir FOLDER    a folder with your own dataset/ files
"""


def run(arguments: Sequence[str]) -> int:
    action, *rest = arguments or ["nothing"]
    if action not in ACTIONS:
        raise ConfigError(
            f"`snnrun data` needs one of {', '.join(ACTIONS)}, got {action}."
            f"{did_you_mean(action, ACTIONS)} Example: snnrun data info dataset=shd"
        )
    if action != "fetch" and any(word.partition("=")[0] == "--from" for word in rest):
        raise ConfigError(f"--from: belongs to `snnrun data fetch`, not to {action}")
    source, rest = taken(rest, "--from", "a folder, as in --from ~/Downloads")
    line = split(rest)
    foreign = [option for option in line.options if option != "--config-dir"]
    if foreign:
        raise ConfigError(f"{foreign[0]}: `snnrun data` takes --from and --config-dir only")
    from snnrun.commands.compose import configured
    from snnrun.datasets import commands

    if action == "fetch":
        commands.fetch(configured(line), None if source is None else path_of(source))
        return 0
    carry_out = commands.info if action == "info" else commands.verify
    chosen = any(word.startswith(("dataset=", "dataset.name=", "preset=")) for word in rest)
    names = [[]] if chosen or action == "verify" else [[f"dataset={name}"] for name in DATASETS]
    for number, choice in enumerate(names):
        print() if number else None
        carry_out(configured(CommandLine(options=line.options, overrides=choice + line.overrides)))
    return 0
