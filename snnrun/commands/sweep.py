"""`snnrun sweep`: what a multirun gave and how it stands, its best setting, and how it goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snnrun.commands.arguments import choice_among, path_of, taken, taken_all
from snnrun.commands.names import SWEEP_ACTIONS
from snnrun.errors import ConfigError, RecordError, did_you_mean

if TYPE_CHECKING:
    from snnrun.sweeps.sweep import Sweep

FORMATS = ("--csv", "--json", "--markdown")
HELP = """\
usage: snnrun sweep table [FOLDER ...] [--by KEY ...] [--sort KEY] [--filter KEY=VALUE ...]
                          [--csv|--json|--markdown]

A sweep is what `snnrun train --multirun` has made in one folder; without FOLDER, the newest below
./outputs. FOLDER may also hold several sweeps, or runs that were started one by one.

  table   a row for each setting, with the keys that differ. Runs that differ by seeds only are one
          row: mean +- sample standard deviation. Failed ones are counted and named
    --by      rows by this key alone; what else differs is averaged over. Again for further keys
    --sort    by a key, or by train, validation, best, test, seconds; --sort=-KEY: the other way
    --filter  only runs with this value of a key, which may have * and ?; state=... too
    --csv, --json, --markdown   the first two with all digits; scores as shares of 1

examples:
  snnrun sweep table
  snnrun sweep table outputs/multirun/2026-11-21/18-03-12-123456 --sort validation
  snnrun sweep table --by ETA --csv
"""


def run(arguments: Sequence[str]) -> int:
    actions: dict[str, Callable[[Sequence[str]], int]] = {"table": _table}
    action, *rest = arguments or ("",)
    if action not in actions:
        hint = did_you_mean(action, SWEEP_ACTIONS) if action else ""
        said = f"{action}: there is no such action.{hint} " if action else ""
        raise ConfigError(f"{said}`snnrun sweep` takes one of {', '.join(SWEEP_ACTIONS)}")
    return actions[action](rest)


def _table(arguments: Sequence[str]) -> int:
    filters, words = taken_all(arguments, "--filter", "KEY=VALUE, as in --filter ETA=0.001")
    by, words = taken_all(words, "--by", "a key, as in --by ETA")
    order, words = taken(words, "--sort", "a key, as in --sort ETA")
    shape, words = choice_among(words, FORMATS, ["--by", "--sort", "--filter"])
    from snnrun.sweeps.settings import fold, in_order, kept, known_key, setting_keys
    from snnrun.sweeps.table import as_csv, as_json, as_markdown, as_text

    found = [job for folder in _folders(words) for job in _sweep(folder).jobs]
    jobs = kept(found, filters)
    if not jobs:
        raise RecordError(f"None of {len(found)} jobs fits --filter {' '.join(filters)}")
    keys = [known_key(key, jobs) for name in by for key in name.split(",")]
    settings = fold(jobs, keys or setting_keys(found))
    if order:
        settings = in_order(settings, order, jobs)
    if shape == "--csv":
        print(as_csv(settings), end="")
    elif shape:
        print(as_json(settings) if shape == "--json" else as_markdown(settings))
    else:
        print("\n".join(as_text(settings)))
    return 0


def _folders(words: Sequence[str]) -> list[Path]:
    """Return the folders of sweeps that are named, or that are in those that are; or the newest.

    Raises:
        RecordError: There is none.
    """
    from snnrun.sweeps.sweep import find_sweeps, newest_sweep

    if not words:
        newest = newest_sweep()
        if newest is None:
            raise RecordError(
                "there is no sweep below ./outputs; name its folder, or start one with "
                "`snnrun train --multirun KEY=VALUE,VALUE`"
            )
        return [newest]
    folders = []
    for word in words:
        folder = path_of(word)
        if not folder.is_dir():
            raise RecordError(f"{folder}: there is no such folder")
        folders += find_sweeps(folder) or [folder]
    return folders


def _sweep(folder: Path) -> Sweep:
    from snnrun.sweeps.sweep import read_sweep

    sweep = read_sweep(folder)
    if not sweep.jobs:
        raise RecordError(f"{folder}: holds no sweep and no runs. `snnrun runs` lists the runs")
    return sweep
