"""Going on with a sweep: jobs that are not finished, failed ones if asked, and more values."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from snnrun.commands.arguments import check, split
from snnrun.commands.compose import compose_words, without_hydra
from snnrun.commands.jobs import GIVES_FOLDER, numbered, refuse_changed, to_run, values_of
from snnrun.commands.result import standing
from snnrun.config import flat
from snnrun.errors import ConfigError, RecordError
from snnrun.record.paths import RunPaths
from snnrun.search.study import is_search
from snnrun.shell import command
from snnrun.sweeps.asked import Asked, AskedJob, adding_jobs, key_of, overrides_of, write_asked
from snnrun.sweeps.sweep import Sweep, read_sweep


def resume(folder: Path, words: Sequence[str], failed: bool) -> int:
    """Run the jobs of a sweep that are neither finished nor at work, as the sweep was begun.

    Args:
        folder: Of the sweep.
        words: Settings of Hydra's own that take the place of those it had, as the launcher.
        failed: Run those that failed too.

    Raises:
        SnnrunError: Anything that the user can put right.
        SystemExit: It was stopped, or a job failed.
    """
    own = ("hydra/", "hydra.", *(["sweep."] if is_search(folder) else []))
    for word in words:
        if not word.startswith(own):
            raise ConfigError(
                f"{word}: a sweep goes on as it began. Another launcher may be given, as in "
                f"hydra/launcher=joblib; more values: {command('sweep', 'add', folder, word)}"
            )
    top = folder.absolute()
    asked = _latest(read_sweep(top))
    if asked.jobs and not to_run(top, failed):  # a search knows by itself what is left
        print("\n".join(["nothing is left to run", *standing(read_sweep(top))]))
        return 0
    given = [word for word in asked.words if not word.startswith(GIVES_FOLDER)]
    _go_where_it_began(asked)
    from snnrun.commands.multirun import Multirun
    from snnrun.commands.train import application

    Multirun.failed = failed
    try:
        return application().run([*_without(given, words), *words, f"{GIVES_FOLDER}{top}"])
    finally:
        Multirun.failed = False


def add(folder: Path, words: Sequence[str]) -> int:
    """Add values of keys to a sweep, each with all values that its other keys have, and run them.

    Args:
        folder: Of the sweep.
        words: KEY=VALUES, as typed.

    Raises:
        SnnrunError: Anything that the user can put right.
        SystemExit: It was stopped, or a job failed.
    """
    if not words:
        raise ConfigError("snnrun sweep add needs values, as in MODEL_SEED=4,5")
    if is_search(folder):
        more = command("sweep", "resume", folder, "sweep.n_trials=N")
        raise ConfigError(f"{folder}: a search chooses its trials itself; N in all: {more}")
    top = folder.absolute()
    sweep = read_sweep(top)
    asked = _latest(sweep)
    _go_where_it_began(asked)
    refuse_changed(sweep, _composed(asked), {key for job in sweep.jobs for key in job.overrides})
    options = [word for word in split(asked.words).option_words() if word != "--multirun"]
    if wrong := [word for word in words if word.lstrip("+~").startswith("hydra")]:
        raise ConfigError(f"{wrong[0]}: no key of a run; give it to {command('sweep', 'resume')}")
    typed = check(split(["--multirun", *options, *words]))
    with adding_jobs(top):
        sweep = read_sweep(top)
        jobs = _new(sweep, values_of(typed))
        if jobs:
            write_asked(top, replace(asked, jobs=numbered(jobs, sweep), when=""))
    news = f"{len(jobs)} job{'s' if len(jobs) > 1 else ''} more"
    print(news if jobs else "the sweep has these jobs already", flush=True)
    return resume(top, [], failed=False)


def _go_where_it_began(asked: Asked) -> None:
    """Go to the folder where relative paths of a command, and modules of the user's own, are."""
    if Path(asked.cwd).is_dir():
        os.chdir(asked.cwd)


def _composed(asked: Asked) -> dict[str, Any]:
    """Return what the words that all jobs of a request have are composed to now."""
    line = split(asked.words)
    main, name = (line.options.get(option) for option in ("--config-path", "--config-name"))
    cfg = compose_words(asked.base, line.own_folders(), main, name or "config")
    return flat(without_hydra(cfg))


def _new(sweep: Sweep, values: dict[str, list[str]]) -> list[AskedJob]:
    """Return a job for each combination of new values with what the jobs have otherwise."""
    keys = set(map(key_of, values))
    swept = {key for job in sweep.jobs for key in job.overrides}
    others = dict.fromkeys(  # with what was of all jobs at first, and differs since
        tuple(
            word
            for key, word in {key_of(word): word for word in (*job.base, *job.words)}.items()
            if key in swept and key not in keys
        )
        for job in sweep.jobs
    )
    there = {frozenset(job.settings.items()) for job in sweep.jobs}
    base = next(job.base for job in sweep.jobs)
    named = all(job.folder for request in sweep.asked for job in request.jobs)
    found = []
    for more in itertools.product(*values.values()):
        for words in others:
            job = AskedJob(number=0, words=(*words, *more), folder="0" if named else "")
            if frozenset(overrides_of((*base, *job.words)).items()) not in there:
                found.append(job)
    return found


def _latest(sweep: Sweep) -> Asked:
    """Return the latest command of a sweep.

    Raises:
        RecordError: There is none: it is no sweep, or one that was made without what was asked.
    """
    commands = [asked for asked in sweep.asked if asked.words]
    if not sweep.jobs and not sweep.asked:
        raise RecordError(f"{sweep.folder}: holds no sweep. `snnrun runs` lists the runs")
    if not commands and RunPaths(sweep.folder).config.is_file():
        go_on = command("resume", sweep.folder)
        raise RecordError(f"{sweep.folder}: is a run and no sweep; go on with `{go_on}`")
    if not commands:
        raise RecordError(
            f"{sweep.folder}: it is not written there what was asked, as of a sweep of an older "
            "snnrun; give its command again, with hydra.sweep.dir="
        )
    return commands[-1]


def _without(words: Sequence[str], others: Sequence[str]) -> list[str]:
    """Return words whose keys are not among those of others; with a launcher go its settings."""
    keys = set(map(key_of, others))
    launcher = "hydra/launcher" in keys
    return [
        word
        for word in words
        if key_of(word) not in keys
        and not (launcher and key_of(word).startswith("hydra.launcher."))
    ]
