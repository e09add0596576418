"""`snnrun sweep`: what a multirun gave and how it stands, its best setting, and how it goes on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snnrun.commands.arguments import choice_among, path_of, taken, taken_all
from snnrun.commands.names import SWEEP_ACTIONS
from snnrun.errors import ConfigError, RecordError, did_you_mean
from snnrun.shell import command, terminal_width

if TYPE_CHECKING:
    from snnrun.sweeps.sweep import Sweep

FORMATS = ("--csv", "--json", "--markdown")
HELP = """\
usage: snnrun sweep table  [FOLDER ...] [--by KEY ...] [--sort KEY] [--filter KEY=VALUE ...]
                           [--csv|--json|--markdown]
       snnrun sweep status [FOLDER] [--watch] [--json]
       snnrun sweep best   [FOLDER] [--preset NAME [--config-dir FOLDER]] [--test [KEY=VALUE ...]]
       snnrun sweep resume [FOLDER] [--failed] [hydra/launcher=...]
       snnrun sweep add    [FOLDER] KEY=VALUES ...
       snnrun sweep history [FOLDER] [--csv|--json]
       snnrun sweep importance [FOLDER]

A sweep is what `snnrun train --multirun` has made in one folder; without FOLDER, the newest below
./outputs. All is read from the folders of its runs, also while it runs, and on other machines.

  table    a row for each setting, with the keys that differ. Runs that differ by seeds only are one
           row: mean +- sample standard deviation. Failed ones are counted and named. Takes folders
           of several sweeps, and of runs that were started one by one
    --by     rows by this key alone; what else differs is averaged over. Again for further keys
    --sort   by a key, or by train, validation, best, test, seconds, memory, operations,
             energy; --sort=-KEY: the other way
    --filter only runs with this value of a key, which may have * and ?; state=... too
    --csv, --json, --markdown   the first two with all digits; scores as shares of 1
  status   how many jobs are finished, running (where, in which epoch, for how long), waiting,
           stopped, exploded, failed, refused or killed, and why
    --watch  until all have ended
  best     the setting with the highest mean validation score, and the command that runs it
    --preset writes what it has differently from the table of its data set to a preset file,
             below conf/ or another --config-dir
    --test   evaluates its runs on the test set, as `snnrun test` with the keys given
  resume   runs what is left: stopped and killed jobs from their checkpoints, to the same bits as
           ever, and those that never began. Finished ones stay. The same command in the same
           folder does this too
    --failed those that exploded, failed or were refused as well
  add      further values of a key, or a further key, with all values that the others have
  history  of a search (sweep=optuna): its trials, the best ones marked
  importance  of a search: how much each key matters

examples:
  snnrun sweep table --sort validation
  snnrun sweep table outputs/multirun/2026-11-21/18-03-12-123456 --by ETA --csv
  snnrun sweep status --watch
  snnrun sweep best --preset mine
  snnrun sweep resume outputs/multirun/2026-11-21/18-03-12-123456 hydra/launcher=joblib
  snnrun sweep add MODEL_SEED=4,5
"""


def run(arguments: Sequence[str]) -> int:
    action, *rest = arguments or ("",)
    if action not in ACTIONS:
        hint = did_you_mean(action, SWEEP_ACTIONS) if action else ""
        said = f"{action}: there is no such action.{hint} " if action else ""
        raise ConfigError(f"{said}`snnrun sweep` takes one of {', '.join(SWEEP_ACTIONS)}")
    return ACTIONS[action](rest)


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
        print("\n".join(as_text(settings, terminal_width())))
    return 0


def _status(arguments: Sequence[str]) -> int:
    from snnrun.sweeps.status import status_lines, watch
    from snnrun.sweeps.table import job_as_object

    shape, words = choice_among(arguments, ("--watch", "--json"), [])
    folder, _ = _one_folder(words, none_after="status")
    sweep = _sweep(folder)
    if shape == "--watch":
        watch(folder, sys.stdout)
    elif shape == "--json":
        print(json.dumps([job_as_object(job) for job in sweep.jobs], indent=1))
    else:
        print("\n".join(status_lines(sweep)))
    return 0


def _best(arguments: Sequence[str]) -> int:
    preset, words = taken(arguments, "--preset", "a name, as in --preset mine")
    conf, words = taken(words, "--config-dir", "a folder, as in --config-dir conf")
    tests, words = choice_among(words, ("--test",), ["--preset", "--config-dir"])
    if conf and not preset:
        raise ConfigError(f"--config-dir {conf}: is where --preset NAME writes, which is not given")
    folder, words = _one_folder(words, none_after="" if tests else "best")
    sweep = _sweep(folder)
    from snnrun.commands import sweep_best

    best = sweep_best.best(sweep)
    print("\n".join(sweep_best.describe(sweep, best)), flush=True)
    if preset:
        place = path_of(conf or "conf")
        print(f"{sweep_best.write_preset(sweep, best, preset, place)}: written. It is run with")
        print(f"  {command('train', '--config-dir', place, f'preset={preset}')}")
    if tests:
        print("\n".join(sweep_best.test(best, words)))
    return 0


def _resume(arguments: Sequence[str]) -> int:
    failed, words = choice_among(arguments, ("--failed",), [])
    folder, words = _one_folder(words)
    from snnrun.commands.sweep_further import resume

    return resume(folder, words, bool(failed))


def _add(arguments: Sequence[str]) -> int:
    _, words = choice_among(arguments, (), [])
    folder, words = _one_folder(words)
    from snnrun.commands.sweep_further import add

    return add(folder, words)


def _history(arguments: Sequence[str]) -> int:
    shape, words = choice_among(arguments, ("--csv", "--json"), [])
    folder, _ = _one_folder(words, none_after="history")
    from snnrun.search import report

    found = report.read_search(folder)
    if shape == "--csv":
        print(report.as_csv(found), end="")
    elif shape == "--json":
        print(json.dumps(report.as_objects(found), indent=1))
    else:
        print("\n".join([*report.history(found), "", *report.summary(found)]))
    return 0


def _importance(arguments: Sequence[str]) -> int:
    _, words = choice_among(arguments, (), [])
    folder, _ = _one_folder(words, none_after="importance")
    from snnrun.search import report

    print("\n".join(report.importance(report.read_search(folder))))
    return 0


ACTIONS: dict[str, Callable[[Sequence[str]], int]] = {
    "table": _table,
    "status": _status,
    "best": _best,
    "resume": _resume,
    "add": _add,
    "history": _history,
    "importance": _importance,
}


def _one_folder(words: Sequence[str], none_after: str = "") -> tuple[Path, list[str]]:
    """Return the folder that the first word names, or that of the newest sweep, and further words.

    Args:
        words: Without options.
        none_after: The action, if it takes no further words.

    Raises:
        ConfigError: There are further words.
        RecordError: There is no such sweep.
    """
    from snnrun.commands.saved_run import names_folder

    first = [word for word in words[:1] if names_folder(word)]
    rest = list(words[len(first) :])
    if none_after and rest:
        raise ConfigError(f"`{none_after}` takes one folder, got: {' '.join(words)}")
    found = _folders(first)
    if len(found) > 1:
        raise ConfigError(
            f"{first[0]}: holds {len(found)} sweeps; name one of them, as in {found[-1]}"
        )
    return found[0], rest


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
