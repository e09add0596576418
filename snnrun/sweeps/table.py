"""The table of a sweep: a row for each setting, as text, Markdown, CSV or JSON."""

from __future__ import annotations

import json
import math
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from snnrun.numbers import csv_text, duration, rate, size_in_words, table
from snnrun.shell import wrapped
from snnrun.sweeps.settings import COSTS, FIGURES, SCORES, Figure, Setting, best_of, judged_by
from snnrun.sweeps.sweep import DONE, FAILED, STATES, Job

MEANING = """\
Means of finished runs +- sample standard deviation, in %; train, valid: after the last epoch; best:
the epoch that CHECKPOINT_BEST chose; test: with the last weights. * the best setting by {word}.
time: of all epochs, and of one; memory: the most that the process held."""
COUNTED = "\noperations: effective synaptic operations of an example (docs/costs.md)."
HEADINGS = {"train": "train%", "validation": "valid%", "best": "best%", "test": "test%"}
WORDS = {"validation": "validation", "train": "training, as nothing is validated"}
_NARROWED = ("memory", "epoch", "operations", "time", "train%", "best%")  # in this order
LONGEST = 100  # characters of the lines that say what columns mean
_LONGEST_REASON = 200
_MOST_REASONS, _MOST_NUMBERS = 10, 20


def as_text(settings: Sequence[Setting], width: float = math.inf) -> list[str]:
    """Return the table as lines, with what its columns mean and why jobs failed.

    Columns for which a terminal of ``width`` characters has no room are left out and named.
    """
    jobs = [job for setting in settings for job in setting.jobs]
    rows, left_out = _cells(settings), list[str]()
    while max(map(len, lines := table(rows, _left(settings, rows), gap="  "))) >= width:
        if not (more := [name for name in _NARROWED if name in rows[0]]):
            break
        left_out.append(more[0])
        column = rows[0].index(more[0])
        rows = [[*row[:column], *row[column + 1 :]] for row in rows]
    word = WORDS[judged_by(jobs)]
    said = MEANING.format(word=word) + (COUNTED if _counted(settings) else "")
    if left_out:
        said += f"\nLeft out, as the terminal is narrow: {', '.join(left_out)}; --csv has all."
    texts = said.splitlines() if width > LONGEST else wrapped(said, int(width) - 1)
    return [*lines, *texts, *reasons(jobs)]


def as_markdown(settings: Sequence[Setting]) -> str:
    """Return the table in Markdown."""
    heading, *rows = (row[1:] for row in _cells(settings))
    star = [setting is best_of(settings) for setting in settings]
    shown = [
        [f"**{cell}**" if best and cell else cell for cell in row]
        for row, best in zip(rows, star, strict=True)
    ]
    lines = [heading, ["---"] * len(heading), *shown]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines
    )


def as_csv(settings: Sequence[Setting]) -> str:
    """Return the table as CSV with all digits: scores as shares of 1, times in seconds."""
    rows = []
    for setting in settings:
        row: dict[str, Any] = {**setting.values}
        row |= {"jobs": len(setting.jobs), "finished": len(setting.finished)}
        for name in FIGURES:
            figure = setting.figure(name)
            row |= {f"{name}_mean": _or_null(figure.mean), f"{name}_sd": _or_null(figure.sd)}
        row["states"] = _states(setting.jobs)
        row["folders"] = " ".join(str(job.folder) for job in setting.jobs)
        rows.append(row)
    return csv_text(rows)


def as_json(settings: Sequence[Setting]) -> str:
    """Return the table, and the jobs of each row, as JSON with all digits."""
    best = best_of(settings)
    rows = [
        {
            "settings": setting.values,
            "chosen": setting is best,
            **{name: _as_object(setting.figure(name)) for name in FIGURES},
            "jobs": [job_as_object(job) for job in setting.jobs],
        }
        for setting in settings
    ]
    return json.dumps(rows, indent=1)


def job_as_object(job: Job) -> dict[str, Any]:
    """Return a job for JSON; what is not known is null."""
    scores = {name: _or_null(getattr(job, f"{name}_score")) for name in SCORES}
    return {
        "number": job.number,
        "folder": str(job.folder),
        "state": job.state,
        "reason": job.reason,
        "overrides": job.overrides,
        "epochs": job.epochs,
        "n_epochs": job.n_epochs,
        "host": job.host,
        "seconds": job.seconds,
        "memory": _or_null(job.memory),
        "seconds_left": job.seconds_left,
        **scores,
        **{name: _or_null(getattr(job, name)) for name in COSTS},
    }


def counted(counts: Mapping[str, int], states: Iterable[str] = STATES) -> str:
    """Return how many jobs are in which of some states, in words."""
    return ", ".join(f"{counts[state]} {state}" for state in states if counts.get(state))


def reasons(jobs: Sequence[Job]) -> list[str]:
    """Return a line for each reason for which jobs failed, with their numbers."""
    found: dict[tuple[str, str], list[Job]] = {}
    for job in jobs:
        if job.state in FAILED:
            found.setdefault((job.state, in_short(job.reason)), []).append(job)
    several = len({job.folder.parent for failed in found.values() for job in failed}) > 1
    lines = [
        f"{state}: job{'s' if len(of) > 1 else ''} {_numbers(of, several)}: {reason}"
        for (state, reason), of in list(found.items())[:_MOST_REASONS]
    ]
    more = len(found) - _MOST_REASONS
    return [*lines, *([f"and {more} more reasons"] if more > 0 else [])]


def name_of(job: Job, keys: Sequence[str]) -> str:
    """Return how a job is called: its number, and the keys that tell it from others."""
    told = " ".join(f"{key}={job.settings[key]}" for key in keys if key in job.settings)
    return f"job {job.number} {told}".rstrip()


def in_short(reason: str, longest: int = _LONGEST_REASON) -> str:
    """Return a message as one line, if need be cut: all of it is in run.log."""
    return textwrap.shorten(reason, longest, placeholder=" ...")


def percent(figure: Figure) -> str:
    """Return mean and deviation of a score in percent."""
    if math.isnan(figure.mean):
        return "-"
    spread = "" if math.isnan(figure.sd) else f" +- {100 * figure.sd:.2f}"
    return f"{100 * figure.mean:.2f}{spread}"


def _keys(settings: Sequence[Setting]) -> list[str]:
    return list(settings[0].values) if settings else []


def _left(settings: Sequence[Setting], rows: Sequence[Sequence[str]]) -> set[int]:
    return {*range(len(_keys(settings)) + 1), len(rows[0]) - 1}


def _counted(settings: Sequence[Setting]) -> bool:
    """Return whether operations of any run are known."""
    return any(setting.figure("operations").n for setting in settings)


def _cells(settings: Sequence[Setting]) -> list[list[str]]:
    keys, best = _keys(settings), best_of(settings)
    costs = ["operations"] if _counted(settings) else []
    rows = [["", *keys, "runs", *HEADINGS.values(), *costs, "time", "epoch", "memory", ""]]
    for setting in settings:
        done, all_jobs = len(setting.finished), len(setting.jobs)
        rows.append(
            [
                "*" if setting is best else "",
                *(setting.values[key] or "-" for key in keys),
                str(done) if done == all_jobs else f"{done} of {all_jobs}",
                *(percent(setting.figure(name)) for name in HEADINGS),
                *(rate(setting.figure(name).mean) for name in costs),
                duration(setting.figure("seconds").mean),
                duration(setting.figure("seconds_per_epoch").mean),
                size_in_words(setting.figure("memory").mean),
                _states(job for job in setting.jobs if job.state != DONE),
            ]
        )
    return rows


def _states(jobs: Iterable[Job]) -> str:
    return counted(Counter(job.state for job in jobs))


def _as_object(figure: Figure) -> dict[str, Any]:
    return {"mean": _or_null(figure.mean), "sd": _or_null(figure.sd), "n": figure.n}


def _numbers(jobs: Sequence[Job], of_several_sweeps: bool) -> str:
    shown = ", ".join(
        f"{job.folder.parent.name}/{job.number}" if of_several_sweeps else str(job.number)
        for job in jobs[:_MOST_NUMBERS]
    )
    return f"{shown}, ..." if len(jobs) > _MOST_NUMBERS else shown


def _or_null(value: float) -> float | None:
    return None if math.isnan(value) else value
